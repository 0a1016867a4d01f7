/**
 * One line for a POSIX shell that means exactly these words. OpenSSH joins its arguments with blanks and lets the login shell
 * of the server read the result, so each word has to survive that.
 */
export function quote(argv: readonly string[]): string {
  return argv.map(quoteWord).join(" ");
}

function quoteWord(word: string): string {
  if (word.includes("\0")) throw new RangeError("an argument of a command cannot contain a NUL byte");
  if (/^[A-Za-z0-9_@%+:,./-]+$/.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}
