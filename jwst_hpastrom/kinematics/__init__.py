"""Motions -> dispersions, populations, members (L23 §5; Methods §4)."""

from jwst_hpastrom.kinematics.cluster import ClusterMotion, cluster_motion
from jwst_hpastrom.kinematics.dispersion import Dispersion, fit_dispersion, fit_isotropic
from jwst_hpastrom.kinematics.members import BulkMotion, bulk_motion, select_members
from jwst_hpastrom.kinematics.populations import ProjectedGroups, fit_projected_groups, project
from jwst_hpastrom.kinematics.study import Study, color_split, densest_place, study_field
from jwst_hpastrom.kinematics.vector_points import vector_points
from jwst_hpastrom.kinematics.velocities import to_km_s

__all__ = [
    "BulkMotion",
    "ClusterMotion",
    "Dispersion",
    "ProjectedGroups",
    "Study",
    "bulk_motion",
    "cluster_motion",
    "color_split",
    "densest_place",
    "fit_dispersion",
    "fit_isotropic",
    "fit_projected_groups",
    "project",
    "select_members",
    "study_field",
    "to_km_s",
    "vector_points",
]
