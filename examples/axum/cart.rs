//! A shopping cart in the session, for guests too.

use axum::{
    Json,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use serde::Serialize;
use tower_user_sessions::{Rejection, Session};

use super::{login::Client, problem::problem};

/// The key of the cart in the session.
pub(crate) const CART: &str = "cart";

pub(crate) type Cart = Vec<String>;

/// The longest name of an item, in bytes.
const ITEM_MAX: usize = 100;

#[derive(Serialize)]
struct Contents {
    cart: Cart,
}

pub(crate) async fn show(session: Session) -> Result<Response, Rejection> {
    let cart = session.get(CART)?.unwrap_or_default();
    Ok(Json(Contents { cart }).into_response())
}

pub(crate) async fn add(
    Path(item): Path<String>,
    session: Session,
    client: Client,
) -> Result<Response, Rejection> {
    if item.len() > ITEM_MAX {
        let title = "No item has a name that long";
        return Ok(problem(StatusCode::BAD_REQUEST, title, "item_too_long"));
    }
    // `update`, so that two items that are added at the same time are both kept.
    session.update(CART, move |cart: Option<Cart>| {
        let mut cart = cart.unwrap_or_default();
        cart.push(item.clone());
        cart
    })?;
    match client {
        Client::Page => Ok(Redirect::to("/").into_response()),
        Client::Program => show(session).await,
    }
}
