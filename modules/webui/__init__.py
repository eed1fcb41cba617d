"""The page: Gradio tabs, one a file. The only package that imports gradio."""
