/** How pictures look: one style sheet, for light and dark. Plain values, since not every renderer knows custom properties. */

/** Text of names, in pixels. */
export const TITLE_SIZE = 13
/** Text of what is said about them. */
export const NOTE_SIZE = 11

/** For an SVG whose root has the class `graflow`. */
export const STYLE = `
.graflow text{font:500 ${TITLE_SIZE}px ui-sans-serif,system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:#1c2434}
.graflow .note,.graflow .key{font-size:${NOTE_SIZE}px;font-weight:400;fill:#5a6579}
.graflow .key{font-weight:600}
.graflow .paper{fill:#fff}
.graflow .task>rect{fill:#fff;stroke:#8d98ab}
.graflow .more>rect{fill:none;stroke:#8d98ab;stroke-dasharray:3 3}
.graflow .decision>path{fill:#fff6dd;stroke:#c08a1e}
.graflow .group>rect{fill:#3b6cf6;fill-opacity:.06;stroke:#3b6cf6;stroke-opacity:.55}
.graflow .each>rect{fill:#0f9488;fill-opacity:.07;stroke:#0f9488;stroke-opacity:.6}
.graflow .behind{fill:none;stroke:#0f9488;stroke-opacity:.6}
.graflow .loop>rect{fill:#d9692b;fill-opacity:.06;stroke:#d9692b;stroke-opacity:.6}
.graflow .workflow>rect{fill:#6b7488;fill-opacity:.05;stroke:#6b7488;stroke-dasharray:5 4}
.graflow .wait>rect{fill:#f4ecff;stroke:#8a5cd6}
.graflow .later>rect{fill:#8a5cd6;fill-opacity:.05;stroke:#8a5cd6;stroke-opacity:.6}
.graflow .edge{fill:none;stroke:#77829a;stroke-width:1.3}
.graflow .back{stroke-dasharray:4 4}
.graflow .tip{fill:#77829a}
@media (prefers-color-scheme:dark){
.graflow text{fill:#e7ebf3}
.graflow .note,.graflow .key{fill:#a3aec2}
.graflow .paper{fill:#10151e}
.graflow .task>rect{fill:#1b2330;stroke:#66738b}
.graflow .more>rect{stroke:#66738b}
.graflow .decision>path{fill:#33290f;stroke:#d3a441}
.graflow .group>rect{fill:#7c9dff;fill-opacity:.08;stroke:#7c9dff}
.graflow .each>rect{fill:#3fc9bb;fill-opacity:.08;stroke:#3fc9bb}
.graflow .behind{stroke:#3fc9bb}
.graflow .loop>rect{fill:#f09a63;fill-opacity:.08;stroke:#f09a63}
.graflow .workflow>rect{fill:#9aa5b8;fill-opacity:.07;stroke:#9aa5b8}
.graflow .wait>rect{fill:#2a2040;stroke:#b99af0}
.graflow .later>rect{fill:#b99af0;fill-opacity:.07;stroke:#b99af0}
.graflow .edge{stroke:#8592ab}
.graflow .tip{fill:#8592ab}
}
`
