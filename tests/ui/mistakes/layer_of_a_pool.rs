//~ SessionStore
//~ RedisStore

use ui::tower_user_sessions::{SessionLayer, deadpool_redis::Pool};

pub fn layer(pool: Pool) -> SessionLayer {
    SessionLayer::new(pool)
}
