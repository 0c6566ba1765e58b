//~ SessionStore
//~ RedisStore

use ui::deadpool_redis::Pool;
use ui::tower_user_sessions::SessionLayer;

pub fn layer(pool: Pool) -> SessionLayer {
    SessionLayer::new(pool)
}
