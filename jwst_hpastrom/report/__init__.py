"""Plots and one self-contained HTML page, from products only."""

from jwst_hpastrom.report.information import describe
from jwst_hpastrom.report.page.document import write_page, write_report
from jwst_hpastrom.report.truth import write_truth_plots

__all__ = ["describe", "write_page", "write_report", "write_truth_plots"]
