/**
 * A report as one HTML file that needs nothing else: no network, no other file. Whatever users named or returned gets in as JSON only, and the script of the page shows it
 * as text; so none of it can become markup.
 */
import type { ReportData } from './report.js'
import { SCRIPT } from './page-script.js'
import { STYLE } from './page-style.js'

/** A whole document, in UTF-8. The same data gives the same page. */
export function pageOf({ svg, ...data }: ReportData): string {
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    // nothing is loaded from anywhere, whatever stands in the data
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">`,
    `<title>${htmlText(`${data.workflow ?? 'run'} ${data.id}`)} · graflow report</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    '<body>',
    '<main id="page"><noscript>This report needs JavaScript: its drawings are made when it is opened.</noscript></main>',
    `<template id="flow">${(svg ?? '').replace(NAMESPACE, '')}</template>`,
    `<script type="application/json" id="data">${jsonInHtml(data)}</script>`,
    `<script>${SCRIPT}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n')
}

/** HTML needs none: so the page has no address at all. */
const NAMESPACE = / xmlns="[^"]*"/

/** JSON that no HTML parser ends early or takes for a comment. */
function jsonInHtml(data: unknown): string {
  return JSON.stringify(data).replace(
    /[<>&\u2028\u2029]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

const SIGNS: Readonly<Record<string, string>> = { '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' }
const htmlText = (text: string): string => text.replace(/[<>&"]/g, (sign) => SIGNS[sign] ?? '')
