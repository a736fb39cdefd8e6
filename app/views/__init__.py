"""One file per page; `parts/` holds what a page is put together from."""
