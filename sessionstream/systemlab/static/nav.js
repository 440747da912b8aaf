/** Where the navigation is a line that scrolls, the present page is in its middle. */
const nav = document.querySelector(".bar nav");
const here = nav?.querySelector("[aria-current]");
// Not scrollIntoView: from what that shows a browser goes on with Tab, past the link that skips the navigation.
if (here) {
  const [line, item] = [nav.getBoundingClientRect(), here.getBoundingClientRect()];
  nav.scrollLeft += item.left + item.width / 2 - (line.left + line.width / 2);
}
