/** What to ask `outcomes` of the inspector where no outcome is wanted: for the state of a group, or whether the group is there. */

/** After this settle come no outcomes of any group. */
export const NO_OUTCOMES = 2 ** 31 - 1
