// The code is in page/script_form.js, once for all tabs. Event: 'change'.
(function begin() {
  if (window.studio?.scripts) studio.scripts.begin({ element, props, trigger, watch });
  else requestAnimationFrame(begin);
})();
