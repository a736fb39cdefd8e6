"""The dashboard: pages over the jobs client, forms made from declarations, pure plots."""
