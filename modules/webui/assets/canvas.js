// The code is in page/canvas_*.js, once for all fields. Events: 'upload', 'clear', 'input'.
(function begin() {
  if (window.studio?.PictureField) new studio.PictureField({ element, props, trigger, upload, watch });
  else requestAnimationFrame(begin);
})();
