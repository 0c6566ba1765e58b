//! The texts of all scripts, with what a store's settings add to them.

use super::source::{Script, flags};
use crate::store::redis::live::Publish;

const PRELUDE: &str = include_str!("../lua/prelude.lua");
const TOKENS: &str = include_str!("../lua/tokens.lua");
const PROVEN: &str = include_str!("../lua/proven.lua");
const HASH: &str = include_str!("../lua/hash.lua");
const SHORTER: &str = include_str!("../lua/shorter.lua");
const DATA: &str = include_str!("../lua/data.lua");
/// The first lines of a script that replicas have to confirm.
const TOUCH: [&str; 2] = [include_str!("../lua/confirm.lua"), "touch(KEYS[1])"];
/// What follows `hash.lua` and `tokens.lua` in scripts that report.
const ENDS: [&str; 2] = [
    "local finish_quietly = finish",
    include_str!("../lua/ends.lua"),
];
const USES: [&str; 2] = [
    "local used_quietly, taken_over_quietly = used, taken_over",
    include_str!("../lua/uses.lua"),
];

/// All scripts of a store.
#[derive(Debug)]
pub(super) struct All {
    pub(super) resolve: Script,
    pub(super) create: Script,
    pub(super) ticket: Script,
    pub(super) save: Script,
    pub(super) rotate: Script,
    pub(super) list: Script,
    pub(super) end: Script,
    pub(super) forget: Script,
    pub(super) note_client: Script,
    pub(super) look: Script,
    pub(super) touch: Script,
    pub(super) everyone: Script,
    pub(super) scan: Script,
    pub(super) slots: Script,
    pub(super) confirmed_end: Script,
    /// Only if the store reports what changes.
    pub(super) publish: Option<Script>,
}

impl All {
    pub(super) fn new(confirm: bool, live: Option<&Publish>) -> Self {
        let touch = if confirm { &TOUCH[..] } else { &[] };
        let (ends, uses) = match live {
            Some(_) => (&ENDS[..], &USES[..]),
            None => (&[][..], &[][..]),
        };
        let end = |before: &[&'static str]| {
            let text = include_str!("../lua/end.lua");
            let follows = &[include_str!("../lua/several.lua")];
            let preludes = [before, &[PRELUDE, TOKENS, HASH], ends].concat();
            let reports = Reports {
                but: r#"ARGV[1] == "others" and ARGV[9] == "" and ARGV[2]"#,
                ..Reports::default()
            };
            reports.script(live, &[], &preludes, text, follows)
        };
        let unusual = [
            &[PRELUDE, TOKENS][..],
            uses,
            &[HASH],
            ends,
            &[include_str!("../lua/unusual.lua")],
        ];
        let admit = [
            &[PRELUDE, HASH][..],
            ends,
            &[
                DATA,
                include_str!("../lua/room.lua"),
                include_str!("../lua/admit.lua"),
                include_str!("../lua/rank.lua"),
                include_str!("../lua/seat.lua"),
                include_str!("../lua/write.lua"),
            ],
        ];
        let changes = |change, preludes: &[&'static str], text| {
            let reports = Reports {
                change,
                ..Reports::default()
            };
            reports.script(live, &[], preludes, text, &[])
        };
        Self {
            resolve: Reports::default().goes_on(
                live,
                &[],
                include_str!("../lua/resolve.lua"),
                &unusual.concat(),
            ),
            create: Reports::default().goes_on(
                live,
                touch,
                include_str!("../lua/create.lua"),
                &admit.concat(),
            ),
            ticket: Script::new(&[PRELUDE], include_str!("../lua/ticket.lua"), &[]),
            // A shorter lifetime is the sooner end of a session.
            save: changes(
                r#"(ALL or ARGV[6] ~= "") and 5"#,
                &[PRELUDE, DATA, SHORTER],
                include_str!("../lua/save.lua"),
            ),
            rotate: changes(
                "ALL and 4",
                &[PRELUDE, TOKENS, PROVEN],
                include_str!("../lua/rotate.lua"),
            ),
            list: Script::new(&[PRELUDE, HASH], include_str!("../lua/list.lua"), &[]),
            end: end(&[]),
            confirmed_end: end(&TOUCH),
            forget: Script::new(&[PRELUDE], include_str!("../lua/forget.lua"), &[]),
            note_client: changes(
                "ALL and 5",
                &[PRELUDE, TOKENS],
                include_str!("../lua/note_client.lua"),
            ),
            look: Script::new(&[PRELUDE, HASH], include_str!("../lua/look.lua"), &[]),
            touch: Script::new(&[PRELUDE], include_str!("../lua/touch.lua"), &[]),
            everyone: Script::new(&[PRELUDE], include_str!("../lua/everyone.lua"), &[]),
            scan: Script::new(&[PRELUDE], include_str!("../lua/scan.lua"), &[]),
            slots: Script::new(&[PRELUDE], include_str!("../lua/slots.lua"), &[]),
            publish: live.map(|live| {
                Script::new(
                    &[PRELUDE, &live.command()],
                    include_str!("../lua/publish.lua"),
                    &[],
                )
            }),
        }
    }

    /// Those that a check sends to the server.
    pub(super) fn checked(&self) -> Vec<&Script> {
        let Self {
            resolve,
            create,
            ticket,
            save,
            rotate,
            list,
            end,
            forget,
            note_client,
            look,
            touch,
            everyone,
            scan: _,
            slots: _,
            confirmed_end: _,
            publish,
        } = self;
        let mut all = vec![
            resolve,
            create,
            ticket,
            save,
            rotate,
            list,
            end,
            forget,
            note_client,
            look,
            touch,
            everyone,
        ];
        all.extend(publish);
        all
    }
}

/// What a script reports: the locals of `live.lua`, as expressions.
struct Reports {
    change: &'static str,
    but: &'static str,
}

impl Default for Reports {
    /// The sessions that it ends.
    fn default() -> Self {
        Self {
            change: "nil",
            but: "nil",
        }
    }
}

impl Reports {
    /// A script that reports, if the store was built so.
    fn script(
        &self,
        live: Option<&Publish>,
        before: &[&'static str],
        preludes: &[&'static str],
        text: &'static str,
        follows: &[&'static str],
    ) -> Script {
        let (flags, body) = flags(text);
        let inside = [preludes, &[body], follows].concat();
        self.assemble(live, &[&[flags], before].concat(), &[], &inside)
    }

    /// A script whose usual case ends in `text`, and reports nothing.
    fn goes_on(
        &self,
        live: Option<&Publish>,
        before: &[&'static str],
        text: &'static str,
        follows: &[&'static str],
    ) -> Script {
        let (flags, body) = flags(text);
        self.assemble(live, &[flags], &[before, &[body]].concat(), follows)
    }

    /// The body of a script that reports is a function, so that its message can follow each of its returns.
    fn assemble(
        &self,
        live: Option<&Publish>,
        flags: &[&str],
        usual: &[&str],
        inside: &[&str],
    ) -> Script {
        let Some(live) = live else {
            return Script::of(&[flags, usual, inside].concat());
        };
        let (channel, all) = (live.local(), live.settings());
        let own = format!("local CHANGE, BUT = {}, {}", self.change, self.but);
        let function = [
            &all[..],
            &own,
            include_str!("../lua/live.lua"),
            "local function script()",
        ];
        let end = ["end", "return report(KEYS[1], script())"];
        // The channel that comes as an argument is taken before anything counts the arguments.
        let parts = [flags, &[&channel[..]], usual, &function, inside, &end];
        let mut script = Script::of(&parts.concat());
        script.takes_channel = live.is_argument();
        script
    }
}
