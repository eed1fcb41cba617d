// The code is in page/canvas_*.js, once for all fields. Events: 'upload', 'clear', 'input'.
new studio.PictureField({ element, props, trigger, upload, watch });
