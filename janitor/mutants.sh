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

# Held against the tests of planning, and against the stories whose names contain STORY.
in_plan() { mutant "$1" "janitor/src/plan/$2" "$3" "$4" "${plans[@]}" plan::; }
in_aws() { mutant "$1" "janitor/src/aws/$2" "$3" "$4" "${stories[@]}" "$5"; }

in_plan "ignores failures[] of BatchDeleteImage" reply.rs 'self.failures.iter().filter(' 'self.failures.iter().take(0).filter('
in_aws "ignores failures[] of ECS" ecs.rs 'failures.iter().find(' 'failures.iter().take(0).find(' views::
in_aws "believes that a listed task is missing" ecs.rs \
  'still_listed(DESCRIBE, missing, &again)?;' 'still_listed(DESCRIBE, missing, &again[..0])?;' denied::
in_aws "leaves out what ECS manages" ecs.rs \
  'for managed_by in [None, Some(ResourceManagementType::Ecs)] {' 'for managed_by in [None::<ResourceManagementType>] {' \
  histories::
in_aws "drops the last page" calls.rs 'items.extend(found);' 'if next.is_some() { items.extend(found); }' cases::
in_aws "stops at a page that is empty" calls.rs \
  'items.extend(found);' 'if found.is_empty() { return Ok(items); } items.extend(found);' views::
in_plan "< for <= on age" judge.rs 'case.now - life.1 <= min_age' 'case.now - life.1 < min_age'
in_plan "<= for < on quarantine" judge.rs \
  'case.now - condemned.since < case.guards' 'case.now - condemned.since <= case.guards'
in_plan "protects by the first tag only" judge.rs \
  'image.tags.iter().any(|tag| rule.protects(tag))' 'image.tags.iter().take(1).any(|tag| rule.protects(tag))'
in_plan "deletes the first tag only" reply.rs 'deletion.tags.iter().map(' 'deletion.tags.iter().take(1).map('
in_plan "compares the first tag only in the last look" recheck.rs \
  'image.tags.iter().zip(&deletion.tags).all(' 'image.tags.iter().zip(&deletion.tags).take(1).all('
in_plan "children first" sweep.rs 'deletion.after.iter().all(' 'deletion.after.iter().take(0).all('
in_plan "does not wait for the confirmation" sweep.rs \
  'self.states.get(digest).is_some_and(|state| state.is_confirmed))' \
  'self.states.get(digest).is_some_and(|state| state.outcome().is_some()))'

if [[ ${1:-} == all ]]; then
  cargo mutants --jobs 1 --no-shuffle --output target --package coalmine-janitor \
    --file 'janitor/src/plan/*.rs' --file 'janitor/src/in_use/reference.rs' -- --lib || survivors=1
fi
exit "$survivors"
