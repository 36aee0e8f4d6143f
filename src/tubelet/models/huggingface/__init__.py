"""Networks of Hugging Face transformers behind this package's contract: VideoMAE, V-JEPA 2 and image models.

A folder that transformers saved (``config.json`` with a ``model_type``, safetensors, the processor's JSON) is read by
``load_model`` as any model folder is; it is described with, compared and classified, but neither trained nor saved.
Needs the extra ``hf``. Nothing is unpickled, no code that lies in such a folder is run, and no processor of
transformers is used: pixels are this package's affair (`tubelet.clips`).
"""
