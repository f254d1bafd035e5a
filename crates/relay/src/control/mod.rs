//! The control plane: who may connect, over HTTP (section 7), and the admin's endpoints.

mod admin;
mod issuer;
mod procedures;
mod wire;

pub(crate) use admin::handle as handle_admin;
pub(crate) use issuer::{Issuer, unix_time};
pub(crate) use procedures::handle as handle_procedure;
pub(crate) use wire::{Answer, ApiError, bearer, json_answer};
