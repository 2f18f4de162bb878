/** What a report does in a browser: plain JavaScript, without a template in it that a build would have to read. All that users wrote is set as text. */
export const SCRIPT = String.raw`
'use strict';
(function(){
var data=JSON.parse(document.getElementById('data').textContent),page=document.getElementById('page');
var end=data.endedAt!==undefined?data.endedAt:data.writtenAt-data.createdAt;
function el(tag,cls,text){var e=document.createElement(tag);if(cls)e.className=cls;if(text!==undefined)e.textContent=text;return e}
function put(to){for(var i=1;i<arguments.length;i++)to.appendChild(arguments[i]);return to}
function n(x){return String(x).replace(/\B(?=(\d{3})+(?!\d))/g,'\u202f')}
function ms(x){if(x===undefined||x===null)return '';x=Math.round(x);if(x<1000)return x+' ms';if(x<60000)return (x/1000).toFixed(x<10000?2:1)+' s';var m=Math.floor(x/60000);if(m<60)return m+' min '+Math.round(x%60000/1000)+' s';return Math.floor(m/60)+' h '+m%60+' min'}
function section(title,cls){var s=el('section',cls||'');s.appendChild(el('h2','',title));page.appendChild(s);return s}
function table(to,heads,rows,onRow){var box=el('div','scroll'),t=el('table'),r=el('tr');heads.forEach(function(h){r.appendChild(el('th',h[1]||'',h[0]))});t.appendChild(put(el('thead'),r));var b=el('tbody');rows.forEach(function(row,i){var tr=el('tr');row.forEach(function(c,k){var cls=heads[k][1]||'';if(c&&c.text!==undefined){tr.appendChild(el('td',cls+' '+c.cls,c.text))}else tr.appendChild(el('td',cls,c===undefined?'':String(c)))});if(onRow){var td=el('td','n'),bt=el('button','','show');bt.onclick=function(){onRow(i)};td.appendChild(bt);tr.appendChild(td)}b.appendChild(tr)});if(onRow)r.appendChild(el('th','',''));t.appendChild(b);box.appendChild(t);to.appendChild(box);return box}
function sum(list,f){return list.reduce(function(a,x){return a+f(x)},0)}

/* head */
page.textContent='';
var h=el('h1','',data.workflow||'run');h.appendChild(el('span','chip '+data.state,data.state));page.appendChild(h);
var sub=el('div','sub');put(sub,el('code','',data.id));
[['created '+new Date(data.createdAt).toISOString().replace('T',' ').slice(0,19)+' UTC'],[data.driver?'driven by '+data.driver:''],[data.build?'build '+data.build:''],[data.retries?'retried '+data.retries+(data.retries===1?' time':' times'):''],[data.tags.join(', ')]].forEach(function(x){if(x[0])sub.appendChild(document.createTextNode(' · '+x[0]))});
page.appendChild(sub);
var g=data.groups,branches=sum(g,function(x){return x.width}),bad=sum(g,function(x){return x.counts.failed+x.counts.dead}),ok=sum(g,function(x){return x.counts.succeeded});
var tiles=el('div','tiles');page.appendChild(tiles);
function tile(v,what,more){var t=el('div','tile');put(t,el('b','',v),el('span','',what));if(more)t.appendChild(el('small','',more));tiles.appendChild(t)}
tile(ms(end),data.endedAt===undefined?'so far':'from creation to end',data.startedAt?'first driven after '+ms(data.startedAt):'');
tile(n(branches),branches===1?'branch':'branches',n(ok)+' succeeded'+(bad?', '+n(bad)+' failed':''));
tile(n(g.length),g.length===1?'superstep':'supersteps',n(data.steps.length)+(data.steps.length===1?' step':' steps')+' of the driver');
tile(n(sum(g,function(x){return x.retries})+sum(data.steps,function(s){return s.attempt-1})),'repeated starts',n(sum(g,function(x){return x.losses}))+' after a lost worker');
tile(n(data.workers.length),data.workers.length===1?'worker':'workers','');
tile(ms(sum(g,function(x){return x.skewMs||0})),'barrier skew','most branches over, waiting for the last');
if(data.error){var es=section('Why it '+(data.state==='cancelled'?'was cancelled':'failed'),'error');put(es,el('div','bad',data.error.message));if(data.error.stack)es.appendChild(el('pre','',data.error.stack));(data.error.causes||[]).forEach(function(c){es.appendChild(el('div','soft','caused by '+c))})}

/* flow */
var flow=document.getElementById('flow').content;
if(flow.firstElementChild){var fs=section('Flow'),fb=el('div','scroll flow');fb.appendChild(flow.cloneNode(true));fs.appendChild(fb);
setTimeout(function(){fb.querySelectorAll('[data-path]').forEach(function(node){var c=data.counts[node.getAttribute('data-path')];if(!c)return;var shape=node.querySelector('rect,path'),box=shape?shape.getBBox():node.getBBox();var t=document.createElementNS(node.namespaceURI,'text');t.setAttribute('class','badge'+(c.failed?' bad':''));t.setAttribute('x',box.x+box.width-8);t.setAttribute('y',box.y+box.height+4);t.setAttribute('text-anchor','end');t.textContent=n(c.done)+' / '+n(c.all)+(c.failed?' · '+n(c.failed)+' failed':'');node.appendChild(t)})},0)}

/* timeline */
var ts=section('Timeline'),bar=el('div','bar'),cv=el('canvas'),tip=el('div');tip.id='tip';document.body.appendChild(tip);
[['--step','step'],['--ok','branch'],['--failed','failed'],['--dead','workers lost'],['--again','started again'],['--gone','cancelled']].forEach(function(x){var s=el('span'),i=el('i');i.style.background='var('+x[0]+')';put(s,i,document.createTextNode(x[1]));bar.appendChild(s)});
var whole=el('button','','whole run'),into=el('button','','zoom in'),outb=el('button','','zoom out');put(bar,whole,into,outb,el('span','soft','drag to zoom'));put(ts,bar,cv);
cv.tabIndex=0;cv.setAttribute('role','img');cv.setAttribute('aria-label','Time from left to right, a lane for each worker; the table of supersteps has the numbers');
/* bands: groups that are in no other group */
function nm(b){return b.label===undefined?b.task:b.task+' ('+b.label+')'}
var paths=g.map(function(x){return x.path+'/'}),outer=g.filter(function(x){return !paths.some(function(p){return p!==x.path+'/'&&x.path.indexOf(p)===0})});
var from=0,to=Math.max(end,1),LEFT=150,TOP=44,drag,hits=[];
/* lanes: the driver's steps, then each worker with as many rows as it had branches at once */
var lanes=[];
function pack(spans){var rows=[];spans.sort(function(a,b){return a.start-b.start||a.end-b.end});spans.forEach(function(s){for(var r=0;r<rows.length;r++)if(rows[r]<=s.start)break;if(r>=48){var best=0;for(var k=1;k<rows.length;k++)if(rows[k]<rows[best])best=k;r=best}rows[r]=Math.max(rows[r]||0,s.end,s.start+.01);s.row=r});return Math.max(1,rows.length)}
var steps=data.steps.map(function(s){return{start:s.start,end:s.end===undefined?end:s.end,kind:'step',status:s.state,title:s.task,path:s.path,again:s.attempt>1,attempt:s.attempt}});
if(steps.length)lanes.push({name:'driver',spans:steps,rows:pack(steps),bins:[]});
data.workers.forEach(function(name,w){var spans=[],bins=[];g.forEach(function(x){x.branches.forEach(function(b){if(b.worker===w&&!x.bins)spans.push({start:b.start,end:b.end,kind:'branch',status:b.status,title:nm(b),path:b.path,again:b.errors+b.losses>0,attempt:1+b.errors+b.losses,losses:b.losses})});(x.bins||[]).forEach(function(l){if(l.worker===w)bins.push({group:x,lane:l,max:Math.max.apply(null,l.busyMs)||1})})});var rows=spans.length?pack(spans):1;lanes.push({name:name,spans:spans,rows:bins.length?Math.max(rows,4):rows,bins:bins})});
function css(name){return getComputedStyle(document.documentElement).getPropertyValue(name).trim()}
function draw(){var W=cv.clientWidth||1000;LEFT=W<640?90:150;var ratio=window.devicePixelRatio||1,y=TOP;
lanes.forEach(function(l){l.h=l.rows<=2?16:l.rows<=8?10:l.rows<=16?6:3;l.y=y;y+=l.rows*l.h+12});
var H=y+6;cv.style.height=H+'px';cv.width=W*ratio;cv.height=H*ratio;var c=cv.getContext('2d');c.scale(ratio,ratio);
var k={ok:css('--ok'),failed:css('--failed'),dead:css('--dead'),gone:css('--gone'),step:css('--step'),again:css('--again'),band:css('--band'),line:css('--line'),soft:css('--soft'),text:css('--text'),faint:css('--faint')};
var x=function(t){return LEFT+(t-from)/(to-from)*(W-LEFT-10)};hits=[];c.font='11px system-ui,sans-serif';
c.save();c.beginPath();c.rect(LEFT,0,W-LEFT,H);c.clip();
outer.forEach(function(gr){var a=gr.openedAt,b=gr.releasedAt===undefined?end:gr.releasedAt;if(b<from||a>to)return;var X=x(a),w=Math.max(1,x(b)-X);c.fillStyle=k.band;c.fillRect(X,TOP-6,w,H-TOP);c.fillStyle=k.line;c.fillRect(X,TOP-22,1,H);if(w>46){c.save();c.beginPath();c.rect(X+3,0,w-6,TOP);c.clip();c.fillStyle=k.soft;c.fillText(gr.title,X+5,TOP-11);c.restore()}hits.push({x:X,y:TOP-22,w:w,h:16,group:gr})});
var ticks=Math.max(2,(W-LEFT)/95),step=Math.pow(10,Math.floor(Math.log10((to-from)/ticks)));for(var f=0;(to-from)/step>ticks;f++)step*=[2,2.5,2][f%3];
c.fillStyle=k.faint;for(var t=Math.ceil(from/step)*step;t<=to;t+=step){c.fillRect(x(t),16,1,4);c.fillText(ms(t)||'0',x(t)+3,13)}
lanes.forEach(function(l){l.bins.forEach(function(b){var m=b.lane.busyMs.length,width=(b.group.last-b.group.first)/m,hh=l.rows*l.h;b.lane.busyMs.forEach(function(v,i){if(!v)return;var X=x(b.group.first+i*width),w=Math.max(1,x(b.group.first+(i+1)*width)-X+.3),hv=Math.max(1,hh*v/b.max);c.fillStyle=k.ok;c.fillRect(X,l.y+hh-hv,w,hv)});hits.push({x:x(b.group.first),y:l.y,w:x(b.group.last)-x(b.group.first),h:hh,bins:b})});
l.spans.forEach(function(s){if(s.end<from||s.start>to)return;var X=x(s.start),w=Math.max(1,x(s.end)-X-(x(s.end)-X>4?1:0)),Y=l.y+s.row*l.h,h=Math.max(2,l.h-(l.h>4?2:1));c.fillStyle=s.status==='failed'?k.failed:s.status==='dead'?k.dead:s.status==='cancelled'||s.status==='skipped'?k.gone:s.kind==='step'?k.step:k.ok;c.fillRect(X,Y,w,h);if(s.again){c.fillStyle=k.again;c.fillRect(X,Y,Math.min(w,3),h)}if(w>60&&l.h>=14){c.save();c.beginPath();c.rect(X,Y,w-4,h);c.clip();c.fillStyle='#fff';c.fillText(s.title,X+4,Y+h-4);c.restore()}hits.push({x:X,y:Y,w:w,h:h,span:s})})});
c.restore();
c.fillStyle=k.text;lanes.forEach(function(l){c.save();c.beginPath();c.rect(0,l.y-4,LEFT-10,l.rows*l.h+14);c.clip();c.fillText(l.name,0,l.y+9);c.restore()});
if(drag&&drag.now!==undefined){c.fillStyle=k.step;c.globalAlpha=.18;c.fillRect(Math.min(drag.x,drag.now),TOP-22,Math.abs(drag.now-drag.x),H);c.globalAlpha=1}}
function at(px){return from+(Math.max(LEFT,px)-LEFT)/(cv.clientWidth-LEFT-10)*(to-from)}
function look(a,b){from=Math.max(0,a);to=Math.min(Math.max(end,1),b);if(to-from<1)to=from+1;draw()}
function zoom(f){var m=(from+to)/2,half=(to-from)/2*f;look(m-half,m+half)}
whole.onclick=function(){look(0,end)};into.onclick=function(){zoom(.5)};outb.onclick=function(){zoom(2)};
cv.onkeydown=function(e){var d=(to-from)/4;if(e.key==='ArrowLeft')look(Math.max(0,from-d),Math.max(0,from-d)+to-from);else if(e.key==='ArrowRight')look(Math.min(from+d,end-(to-from)),Math.min(to+d,end));else if(e.key==='+')zoom(.5);else if(e.key==='-')zoom(2);else if(e.key==='0')look(0,end);else return;e.preventDefault()};
cv.onmousedown=function(e){drag={x:e.offsetX}};
cv.ondblclick=function(){look(0,end)};
window.addEventListener('mouseup',function(){if(!drag)return;var d=drag;drag=undefined;if(d.now!==undefined&&Math.abs(d.now-d.x)>5)look(at(Math.min(d.x,d.now)),at(Math.max(d.x,d.now)));else draw()});
cv.onmousemove=function(e){if(drag){drag.now=e.offsetX;draw();return}var hit;for(var i=hits.length-1;i>=0&&!hit;i--){var q=hits[i];if(e.offsetX>=q.x-1&&e.offsetX<=q.x+q.w+1&&e.offsetY>=q.y&&e.offsetY<=q.y+q.h)hit=q}
if(!hit){tip.style.display='none';return}var s=hit.span,b=hit.bins,gr=hit.group;tip.textContent=s?s.title+'  '+s.path+'\n'+s.status+', '+ms(s.end-s.start)+', from '+(ms(s.start)||'0')+(s.attempt>1?'\nattempt '+s.attempt+(s.losses?', '+s.losses+' lost':''):''):b?b.group.title+'\n'+n(b.lane.branches)+' branches of this worker'+(b.lane.failed?', '+n(b.lane.failed)+' failed':''):gr.title+'  '+gr.path+'\n'+n(gr.width)+' branches';
tip.style.display='block';tip.style.left=Math.min(e.clientX+14,window.innerWidth-350)+'px';tip.style.top=e.clientY+14+'px'};
cv.onmouseleave=function(){tip.style.display='none'};
window.addEventListener('resize',draw);matchMedia('(prefers-color-scheme:dark)').addEventListener('change',draw);

/* critical path */
if(data.critical.length){var cs=section('Critical path'),strip=el('div','strip'),total=sum(data.critical.filter(function(p){return p.depth===0}),function(p){return p.end-p.start})||1;
var words={step:'step',start:'waits for its start',branch:'last branch',barrier:'release of the barrier'},tone={step:'--step',start:'--wait',branch:'--ok',barrier:'--gone'};
data.critical.forEach(function(p){if(p.depth)return;var d=el('div');d.style.flex=String(Math.max(0,(p.end-p.start)/total));d.style.background='var('+tone[p.kind]+')';d.title=p.title+' '+p.path+', '+words[p.kind]+', '+ms(p.end-p.start);strip.appendChild(d)});
cs.appendChild(strip);
table(cs,[['PATH','path'],['WHAT','name'],['PART'],['TOOK','n'],['FROM','n'],['SHARE','n'],['WORKER']],data.critical.map(function(p){return[new Array(p.depth+1).join('  ')+p.path,p.title,words[p.kind],ms(p.end-p.start),ms(p.start)||'0',p.depth?'':Math.round(100*(p.end-p.start)/total)+' %',p.worker===undefined?'':data.workers[p.worker]]}))}

/* supersteps */
if(g.length){var ss=section('Supersteps'),detail=el('div');
table(ss,[['PATH','path'],['BRANCHES OF','name'],['STATE'],['WIDTH','n'],['FAILED','n'],['TOOK','n'],['MEDIAN','n'],['95 %','n'],['LONGEST','n'],['SKEW','n'],['AGAIN','n'],['LOST','n']],g.map(function(x){var f=x.counts.failed+x.counts.dead;return[x.path,x.title,x.state,n(x.width),{text:f?n(f):'',cls:'bad'},ms((x.releasedAt===undefined?end:x.releasedAt)-x.openedAt),ms(x.medianMs),ms(x.p95Ms),{text:ms(x.longestMs),cls:x.stragglers.length?'late':''},ms(x.skewMs),x.retries?n(x.retries):'',x.losses?n(x.losses):'']}),show);
ss.appendChild(detail)}
function show(i){var x=g[i],room=((x.releasedAt===undefined?end:x.releasedAt)-x.openedAt)*.03+1;look(x.openedAt-room,(x.releasedAt===undefined?end:x.releasedAt)+room);detail.textContent='';put(detail,el('h2','',x.title+'  '+x.path));
if(x.stragglers.length)detail.appendChild(el('p','late',n(x.stragglers.length)+(x.stragglers.length===20?' or more':'')+' took three times the median or longer: '+x.stragglers.slice(0,8).map(function(k){return '#'+k}).join(', ')));
var find=el('input');find.placeholder='filter by path, task, status';find.setAttribute('aria-label','filter');detail.appendChild(find);var box;
function rows(){var word=find.value.toLowerCase();if(box)box.remove();var list=x.branches.filter(function(b){return(b.path+' '+nm(b)+' '+b.status).toLowerCase().indexOf(word)>=0});
box=table(detail,[['PATH','path'],['TASK','name'],['STATUS'],['TOOK','n'],['FROM','n'],['ATTEMPT','n'],['LOST','n'],['WORKER']],list.slice(0,500).map(function(b){return[b.path,nm(b),{text:b.status,cls:b.status==='failed'||b.status==='dead'?'bad':''},{text:b.start===undefined?'':ms(b.end-b.start),cls:x.stragglers.indexOf(b.index)>=0?'late':''},b.start===undefined?'':ms(b.start)||'0',1+b.errors+b.losses,b.losses||'',b.worker===undefined?'':data.workers[b.worker]]}));
var left=list.length-Math.min(500,list.length),hidden=x.width-x.branches.length;if(left||hidden)box.appendChild(el('div','soft',(left?n(left)+' more match. ':'')+(hidden>0?n(hidden)+' branches of this group are only in the timeline, or have not ended.':'')))}
find.oninput=rows;rows();ts.scrollIntoView({behavior:'smooth'})}

/* failures */
if(data.failures.length){var xs=section('Errors');data.failures.forEach(function(f){var d=el('details'),s=el('summary');put(s,el('code','',f.path+' '),document.createTextNode(nm(f)+' '),el('span','bad',f.status+': '+(f.error.code?f.error.code+' ':'')+f.error.message));put(d,s);if(f.error.stack)d.appendChild(el('pre','',f.error.stack));(f.error.causes||[]).forEach(function(c){d.appendChild(el('div','soft','caused by '+c))});xs.appendChild(d)})}

/* values */
if(data.values.length){var vs=section('Inputs and outputs');data.values.forEach(function(v){var d=el('details'),s=el('summary');put(s,el('code','',v.path+' '),document.createTextNode(nm(v)));d.appendChild(s);d.ontoggle=function(){if(!d.open||d.children.length>1)return;if(v.input!==undefined)put(d,el('div','soft','input'),el('pre','',v.input));if(v.output!==undefined)put(d,el('div','soft','output'),el('pre','',v.output))};vs.appendChild(d)})}
var foot=el('p','notes');foot.textContent=data.notes.concat(['Starts of branches are by the clocks of their workers. Written '+new Date(data.writtenAt).toISOString().replace('T',' ').slice(0,19)+' UTC.']).join(' ');page.appendChild(foot);
draw();
document.documentElement.dataset.drawn='yes';
})();
`
