"""Other tools' configs, one module per format; read, never written."""
