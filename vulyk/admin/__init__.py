"""The pages behind ``/admin/``: :mod:`~vulyk.admin.models` for authors of views, :mod:`~vulyk.admin.pages` the site's own."""
