//! User agents that many sessions have: each is kept once.

use std::sync::Arc;

use crate::model::Client;

/// How many user agents are remembered for each lock.
const MOST: usize = 16;

/// The user agents of the last sign-ins, the frequent ones first.
#[derive(Default)]
pub(in crate::store) struct Agents(Vec<Arc<str>>);

impl Agents {
    /// Gives a client the user agent of earlier ones.
    pub(in crate::store) fn share(&mut self, client: &mut Client) {
        client.share_user_agent(|agent| self.shared(agent));
    }

    /// The same text, shared with earlier sign-ins if one of them had it.
    pub(in crate::store) fn shared(&mut self, agent: &Arc<str>) -> Arc<str> {
        if let Some(at) = self.0.iter().position(|known| known == agent) {
            let before = at.saturating_sub(1);
            self.0.swap(at, before);
            return self.0.get(before).unwrap_or(agent).clone();
        }
        if self.0.len() == MOST {
            self.0.pop();
        }
        self.0.push(Arc::clone(agent));
        Arc::clone(agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequent_user_agent_is_kept_once_and_few_are_remembered() {
        let mut agents = Agents::default();
        let first = agents.shared(&Arc::from("frequent"));
        for other in 0..100 {
            let _ = agents.shared(&Arc::from(format!("other {other}")));
            let again = agents.shared(&Arc::from("frequent"));
            assert!(Arc::ptr_eq(&first, &again), "{other}");
        }

        assert_eq!(agents.0.len(), MOST);
    }
}
