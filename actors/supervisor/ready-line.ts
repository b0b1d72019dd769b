/** The one line that a guardian prints when its image is served. Programs read it: a path with spaces or quotes stands in JSON. */
export const readyLine = (root: string, endpoint: string, pid: number): string =>
  `telos ready image=${/[\s"]/.test(root) ? JSON.stringify(root) : root} endpoint=${endpoint} pid=${pid}`;
