/** Where the navigation is a line that scrolls, the present page is in view. */
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
