//! Sessions in tables of PostgreSQL.

mod failure;
mod gate;
mod link;
mod sql;
mod tables;
