#!/usr/bin/env bash
# Breaks the janitor on purpose, and fails where no test notices: janitor/mutants.sh
#
# First the mistakes that would cost somebody an image, by hand, each held against the narrow tests. Then, with
# `janitor/mutants.sh all`, every mutation that cargo-mutants (cargo install cargo-mutants --locked) finds in planning and in
# reading references; that takes an hour or two. No part of .ci/run. A file that is mutated is put back, whatever happens.
set -euo pipefail
export PROPTEST_DISABLE_FAILURE_PERSISTENCE=true
cd "$(dirname "${BASH_SOURCE[0]}")/.."

plans=(cargo test --quiet --package coalmine-janitor --lib)
stories=(cargo test --quiet --package coalmine-tests --test janitor)
saved=$(mktemp)
mutated=
survivors=0

put_back() {
  [[ -z $mutated ]] || cp "$saved" "$mutated"
  mutated=
}
trap 'put_back; rm -f "$saved"' EXIT

# mutant NAME FILE OLD NEW TEST…: replaces OLD, which stands in the file once, by NEW; TEST has to fail then.
mutant() {
  local name=$1 file=$2 old=$3 new=$4 text said count
  shift 4
  text=$(<"$file")
  count=$(grep --count --fixed-strings -- "$old" <<<"$text" || true)
  if ((count != 1)); then
    echo "$file: expected one line with '$old', found $count: bring $0 up to date" >&2
    exit 2
  fi
  cp "$file" "$saved"
  mutated=$file
  printf '%s\n' "${text/"$old"/"$new"}" >"$file"
  if said=$("$@" 2>&1); then
    printf 'SURVIVED  %s (%s)\n' "$name" "$file"
    survivors=1
  elif grep --quiet '^error' <<<"$said" && ! grep --quiet '^test result: FAILED' <<<"$said"; then
    printf '%s\n' "$said" | tail -n 30 >&2
    echo "$name: the mutant cannot be built: bring $0 up to date" >&2
    exit 2
  else
    printf 'caught    %s\n' "$name"
    sed -n 's/^    \([a-z_]*::.*\)$/            by \1/p' <<<"$said" | sort -u | head -n 4
  fi
  put_back
}

mutant "ignores failures[] of BatchDeleteImage" janitor/src/plan/reply.rs \
  'self.failures.iter().filter(' 'self.failures.iter().take(0).filter(' "${plans[@]}" plan::
mutant "ignores failures[] of ECS" janitor/src/aws/ecs.rs \
  'failures.iter().find(' 'failures.iter().take(0).find(' "${stories[@]}" views::
mutant "drops the last page" janitor/src/aws/calls.rs \
  'items.extend(found);' 'if next.is_some() { items.extend(found); }' "${stories[@]}" cases::
mutant "stops at a page that is empty" janitor/src/aws/calls.rs \
  'items.extend(found);' 'if found.is_empty() { return Ok(items); } items.extend(found);' "${stories[@]}" views::
mutant "< for <= on age" janitor/src/plan/judge.rs \
  'case.now - life.1 <= min_age' 'case.now - life.1 < min_age' "${plans[@]}" plan::
mutant "<= for < on quarantine" janitor/src/plan/judge.rs \
  'case.now - condemned.since < case.guards' 'case.now - condemned.since <= case.guards' "${plans[@]}" plan::
mutant "protects by the first tag only" janitor/src/plan/judge.rs \
  'image.tags.iter().any(|tag| rule.protects(tag))' 'image.tags.iter().take(1).any(|tag| rule.protects(tag))' "${plans[@]}" plan::
mutant "deletes the first tag only" janitor/src/plan/reply.rs \
  'deletion.tags.iter().map(' 'deletion.tags.iter().take(1).map(' "${plans[@]}" plan::
mutant "compares the first tag only in the last look" janitor/src/plan/recheck.rs \
  'image.tags.iter().zip(&deletion.tags).all(' 'image.tags.iter().zip(&deletion.tags).take(1).all(' "${plans[@]}" plan::
mutant "children first" janitor/src/plan/sweep.rs \
  'deletion.after.iter().all(' 'deletion.after.iter().take(0).all(' "${plans[@]}" plan::
mutant "does not wait for the confirmation" janitor/src/plan/sweep.rs \
  'self.states.get(digest).is_some_and(|state| state.is_confirmed))' 'self.states.get(digest).is_some_and(|state| state.outcome().is_some()))' \
  "${plans[@]}" plan::

if [[ ${1:-} == all ]]; then
  cargo mutants --jobs 1 --no-shuffle --output target --package coalmine-janitor \
    --file 'janitor/src/plan/*.rs' --file 'janitor/src/in_use/reference.rs' -- --lib || survivors=1
fi
exit "$survivors"
