"""Files that change a model without being one: LoRAs and relatives, hypernetworks, embeddings."""
