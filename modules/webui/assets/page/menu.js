// A small menu at a button or a point.
let opened = null;
const close = () => { opened?.remove(); opened = null; };

/** Show a menu; `entries` are `[label, action]`. */
studio.openMenu = (x, y, entries) => {
  close();
  opened = document.createElement('div');
  opened.className = 'menu';
  opened.setAttribute('role', 'menu');
  for (const [label, action] of entries) {
    const button = document.createElement('button');
    button.type = 'button';
    button.setAttribute('role', 'menuitem');
    button.textContent = label;
    button.onclick = () => { close(); action(); };
    opened.append(button);
  }
  document.body.append(opened);
  const box = opened.getBoundingClientRect();
  opened.style.left = `${Math.max(8, Math.min(x, innerWidth - box.width - 8))}px`;
  opened.style.top = `${Math.max(8, Math.min(y, innerHeight - box.height - 8))}px`;
  opened.querySelector('button').focus();
};
document.addEventListener('pointerdown', (event) => { if (!event.target.closest?.('.menu')) close(); }, true);
document.addEventListener('keydown', (event) => {
  if (!opened) return;
  const items = [...opened.children], at = items.indexOf(document.activeElement);
  if (event.key === 'Escape') close();
  else if (event.key === 'ArrowDown') items[(at + 1) % items.length].focus();
  else if (event.key === 'ArrowUp') items[(at + items.length - 1) % items.length].focus();
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);
addEventListener('blur', close);
addEventListener('scroll', close, true);
