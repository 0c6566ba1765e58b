//~ `Pool` is not a pool of the deadpool-redis that the store uses
//~ not a pool of deadpool-redis 0.23
//~ write `deadpool-redis = "0.23"` in Cargo.toml
//~ use the version that comes with this crate: `tower_user_sessions::deadpool_redis`

use ui::tower_user_sessions::RedisStore;

pub fn store(pool: other_deadpool_redis::Pool) -> RedisStore {
    RedisStore::builder(pool).build()
}
