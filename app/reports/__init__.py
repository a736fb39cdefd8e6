"""Reports: what was measured of a model, as one record (`model.py`), and the formats it is sent in.

Pure: no streamlit, no torch. The page and the command line build and write the same.
"""
