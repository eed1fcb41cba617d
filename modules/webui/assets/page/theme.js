// Light and dark, remembered by the browser; icon buttons show their names.
const remembered = localStorage.getItem('studio-theme') || 'DEFAULT_THEME';  // '' follows the system
if (remembered) document.body.classList.toggle('dark', remembered === 'dark');
document.addEventListener('click', (event) => {
  if (!event.target.closest?.('#theme_switch')) return;
  const dark = document.body.classList.toggle('dark');
  localStorage.setItem('studio-theme', dark ? 'dark' : 'light');
});

document.addEventListener('pointerover', (event) => {
  const button = event.target.closest?.('button.icon');
  if (button && !button.title) button.title = button.textContent.trim();
});
