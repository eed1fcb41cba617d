// The code is in page/script_form.js, once for all tabs.
(function begin() {
  if (window.studio?.scripts) studio.scripts.begin({ element, props, watch });
  else requestAnimationFrame(begin);
})();
