// The code is in page/script_form.js, once for all tabs.
studio.scripts.begin({ element, props, watch });
