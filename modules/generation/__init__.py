"""The story of a picture: resolve a request, run each image as a coroutine, batch them on the device."""
