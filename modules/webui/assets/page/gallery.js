// Gradio labels the empty place of a gallery, but gives it no role that may carry a label.
const EMPTY = '.empty[aria-label]:not([role])';
const repair = (root) => {
  for (const place of [root, ...root.querySelectorAll(EMPTY)]) if (place.matches(EMPTY)) place.setAttribute('role', 'img');
};
new MutationObserver((changes) => {
  for (const change of changes) change.addedNodes.forEach((node) => { if (node.nodeType === Node.ELEMENT_NODE) repair(node); });
}).observe(document.body, { childList: true, subtree: true });
repair(document.body);
