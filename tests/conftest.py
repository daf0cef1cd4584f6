"""Long files first, so that no worker is left with one of them at the end."""

LONGEST_FIRST = [
    "test_cli", "test_campaign", "test_docs", "test_studies", "test_workers", "test_jobs",
    "test_contracts", "test_dashboard", "test_plugin_package", "test_postgresql", "test_notebook",
    "test_package", "test_recovery", "test_recovery_slsqp",
]  # fmt: skip


def pytest_collection_modifyitems(items):
    """Sort the files; within one nothing moves."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
