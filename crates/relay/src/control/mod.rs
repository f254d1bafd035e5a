//! The control plane: who may connect, over HTTP (section 7), the admin's endpoints, and the page about Quick Connect.

mod admin;
mod internal;
mod issuer;
mod oidc;
mod page;
mod plane;
mod procedures;
mod wire;

pub(crate) use admin::{handle as handle_admin, is_admin};
pub(crate) use internal::handle as handle_internal;
pub(crate) use issuer::{Issuer, unix_time};
pub(crate) use oidc::Oidc;
pub(crate) use page::quick_connect as quick_connect_page;
pub(crate) use plane::{ControlPlane, Presence};
pub(crate) use procedures::handle as handle_procedure;
pub(crate) use wire::{Answer, ApiError, bearer, json_answer};
