# From what llvm-cov exports as lcov: a table of the rooms with `unsafe`, a line for the rest, and each place in those rooms that
# no test reaches, unless `listed`, a page, has it under the room's name. Ends with 1 where one is not listed.
#
#     awk -v root="$PWD/" -v unsafe="room room" -v listed=lanes/uncovered.md -f lanes/coverage.awk FILE

BEGIN {
    FS = "[:,]"
    count = split(unsafe, names, " ")
    for (i = 1; i <= count; i++) is_unsafe["loopbind-runtime/src/" names[i]] = 1
    while ((getline line < listed) > 0) {
        if (line ~ /^## /) room = "loopbind-runtime/src/" substr(line, 5, length(line) - 5)
        # - `text of the line`: the reason
        if (line ~ /^- `/) {
            sub(/^- `/, "", line)
            sub(/`: .*/, "", line)
            known[room, line] = 1
        }
    }
}

/^SF:/ {
    file = substr($0, 4)
    sub(root, "", file)
    seen[file] = 1
    # What stands behind this line is a test.
    last[file] = 0
    number = 0
    while ((getline line < (root file)) > 0) {
        number++
        text[file, number] = line
        if (line ~ /^mod tests? / && text[file, number - 1] == "#[cfg(test)]") break
        last[file] = number
    }
    close(root file)
}

/^DA:/ && $2 <= last[file] {
    if (!((file, $2) in lines)) order[file] = order[file] " " $2
    if ($3 > lines[file, $2]) lines[file, $2] = $3
    else lines[file, $2] += 0
}

/^BRDA:/ && $2 <= last[file] {
    key = file SUBSEP $2 SUBSEP $3 SUBSEP $4
    branch_line[key] = $2
    branch_file[key] = file
    if ($5 != "-" && $5 > branches[key]) branches[key] = $5
    else branches[key] += 0
}

function percent(part, whole) { return whole ? sprintf("%.1f", 100 * part / whole) : "" }

function row(name, l, lc, b, bc) {
    printf "%-28s %6d %6s %% %8d %6s %%\n", name, l, percent(lc, l), b, percent(bc, b)
}

END {
    for (key in branches) {
        file = branch_file[key]
        all_branches[file]++
        if (branches[key] > 0) hit_branches[file]++
        else if (is_unsafe[file]) one_way[file, branch_line[key]] = 1
    }
    printf "%-28s %6s %8s %8s %8s\n", "", "lines", "reached", "branches", "reached"
    wrong = 0
    for (i = 1; i <= count; i++) {
        file = "loopbind-runtime/src/" names[i]
        if (!seen[file]) {
            print file ": nothing of it was built" > "/dev/stderr"
            wrong = 1
            continue
        }
        l = lc = 0
        amount = split(order[file], numbers, " ")
        for (j = 1; j <= amount; j++) {
            l++
            if (lines[file, numbers[j]] > 0) lc++
        }
        row(names[i], l, lc, all_branches[file], hit_branches[file])
        unsafe_l += l; unsafe_lc += lc; unsafe_b += all_branches[file]; unsafe_bc += hit_branches[file]
        for (j = 1; j <= amount; j++) {
            number = numbers[j]
            missed = lines[file, number] == 0 ? "never" : (file, number) in one_way ? "one way only" : ""
            what = text[file, number]
            gsub(/^ +| +$/, "", what)
            # What closes a block was reached when the block was.
            if (missed == "" || what ~ /^[]})(;,]*$/) continue
            if ((file, what) in known) {
                used[file, what] = 1
                continue
            }
            places = places sprintf("%s:%d: %s: %s\n", names[i], number, missed, what)
        }
    }
    for (file in seen) {
        if (is_unsafe[file]) continue
        amount = split(order[file], numbers, " ")
        for (j = 1; j <= amount; j++) {
            rest_l++
            if (lines[file, numbers[j]] > 0) rest_lc++
        }
        rest_b += all_branches[file]; rest_bc += hit_branches[file]
    }
    row("these", unsafe_l, unsafe_lc, unsafe_b, unsafe_bc)
    row("all others", rest_l, rest_lc, rest_b, rest_bc)
    row("together", unsafe_l + rest_l, unsafe_lc + rest_lc, unsafe_b + rest_b, unsafe_bc + rest_bc)
    for (key in known) if (!(key in used)) {
        split(key, parts, SUBSEP)
        print parts[1] ": listed, and reached: " parts[2]
    }
    if (places != "") {
        printf "\nreached by no test, and %s says nothing of it:\n%s", listed, places
        wrong = 1
    }
    exit wrong
}
