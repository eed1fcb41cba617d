"""HTTP: who may call, A1111's API, our own API, pictures by id. The only importer of FastAPI."""
