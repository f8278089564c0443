use super::*;

/// Reads a table for a purpose.
fn load_for(purpose: Purpose, skip_bad: bool, name: &str, content: &str) -> Result<Reviews, String> {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("written");
    let places = Places { data: Some(path), ..Places::default() };
    load_as(&places, Reading { purpose, skip_bad, classes: None }).map_err(|e| e.to_string())
}

fn load_table(name: &str, content: &str) -> Result<Reviews, String> {
    load_for(Purpose::TrainAndTest, false, name, content)
}

fn load_test(name: &str, content: &str) -> Result<Reviews, String> {
    load_for(Purpose::Test, false, name, content)
}

fn error(name: &str, content: &str) -> String {
    load_table(name, content).expect_err(content)
}

fn texts(part: &[Review]) -> Vec<(&str, bool)> {
    part.iter().map(|review| (review.text.as_str(), review.class == 1)).collect()
}

/// `n` rows `good I,1` and `n` rows `bad I,0`, in turn.
fn rows(n: usize) -> String {
    (0..n).map(|i| format!("good {i},1\nbad {i},0\n")).collect()
}

#[test]
fn the_built_in_sample_is_balanced_and_each_review_is_there_once() {
    let reviews = load(&Places::default()).expect("built in");
    assert!(reviews.source.is_sample());
    for (part, least) in [(&reviews.train, 300), (&reviews.test, 100)] {
        let positive = part.iter().filter(|review| review.class == 1).count();
        assert_eq!(2 * positive, part.len());
        assert!(part.len() >= least, "{}", part.len());
    }
    let mut texts: Vec<&str> = reviews.train.iter().chain(&reviews.test).map(|r| r.text.as_str()).collect();
    texts.sort_unstable();
    let all = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), all);
}

#[test]
fn formats_are_known_by_name() {
    assert!(error("reviews.xls", "x").contains("give an aclImdb folder or .tar.gz, a .csv, .tsv or .jsonl file"));
    assert!(error("reviews.csv.gz", "x").contains("no format (unpack it first); give"));
    assert!(error("reviews.json", "x").contains("with an object in each line it is .jsonl"));
}

#[test]
fn the_three_formats_give_the_same() {
    let csv = "id,review,sentiment,split\n1,\"good, \"\"fine\"\"\",positive,train\n2,bad,negative,train\n\
               3,nice,1,test\n4,dull,0,test\n";
    let tsv = "Label\tText\tSPLIT\npos\tgood, \"fine\"\tTrain\nneg\tbad\ttrain\npos\tnice\tTEST\nneg\tdull\ttest\n";
    let jsonl = "{\"Text\":\"good, \\\"fine\\\"\",\"Label\":1.0,\"split\":\"train\"}\n\n\
                 {\"Text\":\"bad\",\"LABEL\":\"neg\",\"Split\":\"TRAIN\"}\r\n\
                 {\"text\":\"nice\",\"label\":true,\"split\":\"test\"}\r{\"text\":\"dull\",\"label\":0,\"split\":\"test\"}";
    let semicolons = format!("sep=;\r\n{}", csv.replace(',', ";").replace("good;", "good,"));
    for (name, content) in [("a.csv", csv), ("a.tsv", tsv), ("a.jsonl", jsonl), ("b.csv", &semicolons)] {
        let reviews = load_table(name, content).expect(name);
        assert_eq!(texts(&reviews.train), [("good, \"fine\"", true), ("bad", false)], "{name}");
        assert_eq!(texts(&reviews.test), [("nice", true), ("dull", false)], "{name}");
    }
}

#[test]
fn without_a_split_every_fifth_of_each_label_is_for_the_test() {
    let table = format!("text,label\n{}", rows(10));
    let reviews = load_table("a.csv", &table).expect("right");
    assert_eq!(texts(&reviews.test), [("good 4", true), ("bad 4", false), ("good 9", true), ("bad 9", false)]);
    assert_eq!(reviews.train.len(), 16);
    // To test only, or to train only, all of them.
    let test = load_test("a.csv", &table).expect("right");
    assert_eq!((test.train.len(), test.test.len()), (0, 20));
    let train = load_for(Purpose::Train, false, "a.csv", &table).expect("right");
    assert_eq!((train.train.len(), train.test.len()), (20, 0));
    assert!(train.table.expect("a table").is_same(&test.table.expect("a table")));
    let few = format!("text,label\n{}last,1\n", rows(4));
    assert!(error("a.csv", &few).contains("of the negative ones there are 4"));
    assert!(error("a.csv", "text,label\nx,1\n").contains("of the positive ones there are 1"));
}

#[test]
fn a_split_says_what_rows_are_for() {
    let table = "text,label,split\na,1,train\nb,0,Training\nc,1,validation\nd,0,TEST\ne,0,Dev\n";
    let reviews = load_table("a.csv", table).expect("right");
    assert_eq!((texts(&reviews.train), texts(&reviews.test)), (vec![("a", true), ("b", false)], vec![("d", false)]));
    assert_eq!(reviews.notes, ["2 validation reviews are neither trained nor tested on"]);
    assert_eq!(reviews.table, None);
    assert_eq!(texts(&load_test("a.csv", table).expect("right").test), [("d", false)]);
    let train = load_for(Purpose::Train, false, "a.csv", table).expect("right");
    assert_eq!((train.train.len(), train.test.len()), (2, 0));
    assert!(train.notes[1].starts_with("1 test reviews of ") && train.notes[1].ends_with(" are left out"));

    let all = |split: &str| format!("text,label,split\na,1,{split}\nb,0,{split}\n");
    let trained = load_table("a.csv", &all("train")).expect("right");
    assert_eq!((trained.train.len(), trained.test.len()), (2, 0));
    let told = load_test("a.csv", &all("train")).expect_err("no test");
    assert!(told.contains("no review to test on: 2 are to train on, 0 for validation; without a split"), "{told}");
    assert_eq!(load_test("a.csv", &all("test")).expect("right").test.len(), 2);
    assert!(error("a.csv", &all("test")).ends_with("there is no positive review to train on; 2 are to test on"));
    // Of one class one may test, not train.
    let negative = "text,label\na,0\nb,0\n";
    assert_eq!(load_test("a.csv", negative).expect("right").test.len(), 2);
    let many = format!("text,label\n{}", "a,0\n".repeat(10));
    assert!(error("a.csv", &many).ends_with("there is no positive review to train on"));
}

#[test]
fn a_split_by_another_name_is_told() {
    let table = "text,label,type\na,1,train\nb,0,train\nc,1,test\nd,0,test\n";
    let what = "\"type\" says train, test or validation in every row; call it split";
    assert!(error("a.csv", table).contains(what));
    let object = |row: &str| {
        let [text, label, part] = [0, 1, 2].map(|i| row.split(',').nth(i).expect("three"));
        format!("{{\"text\":\"{text}\",\"label\":{label},\"type\":\"{part}\"}}\n")
    };
    let jsonl: String = table.lines().skip(1).map(object).collect();
    assert!(error("a.jsonl", &jsonl).contains(what));
    let film = table.replace("d,0,test", "d,0,film");
    assert!(!error("a.csv", &film).contains("type"));
}

#[test]
fn labels_are_taken_in_any_form() {
    let with = |one: &str, zero: &str| {
        let rows = rows(5).replace(",1", &format!(",{one}")).replace(",0", &format!(",{zero}"));
        load_table("a.csv", &format!("text,label\n{rows}"))
    };
    let expected = with("1", "0").expect("right");
    for (one, zero) in [("1.0", "0.0"), ("1", "-1"), ("1e0", "-1.0"), ("Pos", "NEG"), ("TRUE", "False")] {
        let reviews = with(one, zero).expect("right");
        assert_eq!((reviews.train, reviews.test), (expected.train.clone(), expected.test.clone()), "{one} {zero}");
    }
    // Of a scale each value is a class.
    let scale: String = (0..50).map(|i| format!("x{i},{}\n", i % 5 + 1)).collect();
    let stars = load_table("a.csv", &format!("text,label\n{scale}")).expect("a scale");
    assert_eq!(
        (stars.classes, stars.train.len(), stars.test.len()),
        (["1", "2", "3", "4", "5"].map(String::from).to_vec(), 40, 10)
    );
    assert_eq!(load_for(Purpose::Test, true, "a.csv", "text,label\nx,1\nx,nan\nx,\n").expect("missing").test.len(), 1);
}

#[test]
fn bad_rows_are_counted_at_once_and_can_be_left_out() {
    let bad = " ,1\nx,maybe\nx\nx,y,1\n";
    let csv = format!("text,label\n{}{bad}", rows(10));
    let told = error("a.csv", &csv);
    for what in [
        "4 of 24 rows are bad: line 22: the text is empty",
        "line 23: the label \"maybe\" is none of 1, pos, positive, true; 0, -1,",
        "line 24: 1 field, where the first line has 2; a text that holds ',' or a line end stands in quotes; …",
    ] {
        assert!(told.contains(what), "{told}");
    }
    let empty = format!("text,label\n{}{}", rows(10), " ,1\n".repeat(30));
    assert!(
        error("a.csv", &empty)
            .ends_with("30 of 50 rows are bad: lines 22, 23, 24: the text is empty; …; mend them or leave them out")
    );
    let reviews = load_for(Purpose::TrainAndTest, true, "a.csv", &csv).expect("skipped");
    assert_eq!((reviews.train.len(), reviews.test.len()), (16, 4));
    assert!(reviews.notes[0].contains("a.csv: left out: 4 of 24 rows are bad: line 22"), "{:?}", reviews.notes);

    let object = |row: &str| {
        let (text, label) = row.split_once(',').expect("two");
        format!("{{\"text\":\"{text}\",\"label\":{label}}}\n")
    };
    let good: String = rows(10).lines().map(object).collect();
    let bad = [
        ("[1]", "not a JSON object: invalid type: sequence, expected an object at column 0"),
        ("{\"text\":", "not a JSON object: EOF while parsing a value at column 8"),
        ("{\"text\":\"x\"}", "the keys are \"text\"; one of text/review/sentence/content and one of"),
        ("{\"text\":null,\"label\":1}", "\"text\" is null; it must be a string"),
        ("{\"text\":\"x\",\"label\":1,\"class\":0}", "each of \"label\", \"class\" could be the one"),
        ("{\"text\":\"x\",\"Text\":\"y\",\"label\":0}", "each of \"text\", \"Text\" could be the one"),
        ("{\"text\":\"x\",\"label\":1,\"label\":0}", "the key \"label\" is there twice"),
        ("{\"review\":\"x\",\"label\":1}", "\"review\" here is \"text\" in line 1; give them one name"),
        ("{\"text\":\"x\",\"label\":null}", "the label is missing: \"null\""),
        ("{\"text\":\"x\",\"label\":1,\"split\":3}", "the split \"3\" is none of train, test or validation"),
        ("\"a string\"", "not a JSON object: invalid type: string \"a string\""),
    ];
    for (row, what) in bad {
        let told = error("a.jsonl", &format!("{good}\n{row}\n"));
        assert!(told.len() < 400, "{told}");
        assert!(told.contains(&format!("1 of 21 rows is bad: line 22: {what}")), "{told}");
    }
    let all: String = bad.iter().rev().map(|(row, _)| format!("{row}\n")).collect();
    let reviews = load_for(Purpose::TrainAndTest, true, "a.jsonl", &format!("{good}{all}")).expect("skipped");
    assert_eq!(reviews.train.len() + reviews.test.len(), 20);
    let all = all.replace("{\"review\":\"x\",\"label\":1}\n", "");
    assert!(load_for(Purpose::Test, true, "a.jsonl", &all).expect_err("all bad").contains("10 of 10 rows are bad"));
}

#[test]
fn rows_without_the_split_that_others_have_are_bad() {
    let row = |text: &str, split: &str| format!("{{\"text\":\"{text}\",\"label\":1{split}}}\n");
    let table =
        [row("a", ""), row("b", ",\"split\":\"train\""), row("c", ""), row("d", ",\"split\":\"test\"")].concat();
    let told = load_test("a.jsonl", &table).expect_err("two without");
    assert!(told.contains("2 of 4 rows are bad: lines 1, 3: no split, which line 2 has"), "{told}");
    let reviews = load_for(Purpose::Test, true, "a.jsonl", &table).expect("skipped");
    assert_eq!(texts(&reviews.test), [("d", true)]);
    assert!(
        load_test("a.csv", "text,label,split\na,1,test\nb,1,\n").expect_err("blank").contains("the split \"\" is none")
    );
}

#[test]
fn no_quote_swallows_rows() {
    type Row<'a> = &'a dyn Fn(usize, bool) -> String;
    // 50,000 rows, the one in the middle with a quote.
    let table = |header: &str, row: Row, quote: &str| {
        let rows: String =
            (0..50_000).map(|i| if i == 24_000 { format!("{quote}\n") } else { row(i, i % 2 == 0) }).collect();
        format!("{header}\n{rows}")
    };
    let text_first = |i: usize, positive: bool| format!("film {i},{}\n", u8::from(positive));
    let label_first = |i: usize, positive: bool| format!("{},film {i}\n", u8::from(positive));
    let quoted = |i: usize, positive: bool| format!("\"film, {i}\",{}\n", u8::from(positive));
    let inch =
        |i: usize, positive: bool| format!("film {i}{},{}\n", if i == 24_999 { "\"" } else { "" }, u8::from(positive));
    let numbered = |i: usize, positive: bool| format!("{i},film {i},{}\n", u8::from(positive));
    let inch_last = |i: usize, positive: bool| label_first(i, positive).replace("24999", "24999\"");
    let cases: [(&str, Row, &str, &str); 7] = [
        ("text,label", &text_first, "\"Great film,1", "line 24002: the quote opened here is not closed"),
        ("label,text", &label_first, "1,\"Great film", "line 24002: the quote opened here is not closed"),
        ("text,label", &quoted, "\"Great film,1", "line 24002: text behind the closing quote"),
        ("text,label", &quoted, "\"on 12\\\"\",1", "line 24002: \\\" in the field opened here"),
        ("id,text,label", &numbered, "5,\"Great,1", "line 24002: the quote opened here is not closed"),
        // To RFC 4180 these are one row of a thousand lines.
        ("label,text", &inch_last, "1,\"Great film", "line 24002: the quote opened here is closed in line 25001, but"),
        ("text,label", &inch, "\"Great film,1", "line 24002: the quote opened here is closed in line 25001, but"),
    ];
    for (header, row, quote, what) in cases {
        for skip_bad in [false, true] {
            let told = load_for(Purpose::TrainAndTest, skip_bad, "a.csv", &table(header, row, quote)).expect_err(what);
            assert!(told.contains(what), "{told}");
        }
    }
    // In TSV it is a character.
    let tsv = table("text\tlabel", &|i, positive| text_first(i, positive).replace(',', "\t"), "\"Great film\t1");
    let reviews = load_table("a.tsv", &tsv).expect("right");
    assert_eq!(reviews.train.len() + reviews.test.len(), 50_000);
    // Long texts may hold what they will, in quotes.
    let told = "\"One, two.\nOverall, positive\nThe \"\"end\"\", 1\n\",1\n";
    let reviews = load_test("a.csv", &format!("text,label\n{told}")).expect("right");
    assert_eq!(texts(&reviews.test), [("One, two.\nOverall, positive\nThe \"end\", 1\n", true)]);
    let wide = format!("text,label\n{}\"x\ny\",1,1\n", rows(5));
    let told = load_for(Purpose::TrainAndTest, true, "a.csv", &wide).expect_err("no row to leave out");
    assert!(told.contains("lines 12 to 13: 3 fields, where the first line has 2"), "{told}");
}

#[test]
fn tsv_that_looks_quoted_is_told() {
    let row = |i: usize| format!("\"film {i}\"\t{}\n", i % 2);
    let table = format!("text\tlabel\n{}", (0..20).map(row).collect::<String>());
    let told = error("a.tsv", &table);
    assert!(
        told.contains("20 of 20 rows are bad: line 2: the text is in quotes, \"\"film 0\"\"; a .tsv has no"),
        "{told}"
    );
    let named = table.replace("text\tlabel", "\"text\"\t\"label\"");
    assert!(error("a.tsv", &named).contains("a .tsv has no quoting: the quotes are part of the names"));
    let kaggle = format!("text\tlabel\n{}\"\\\"War\\\" by \"\"x\"\"\"\t1\n", rows(5).replace(',', "\t"));
    assert!(error("a.tsv", &kaggle).contains("1 of 11 rows is bad: line 12: the text is in quotes"));
    let titles = format!("text\tlabel\n{}\"War\" and \"Peace\"\t1\n\"\t0\n", rows(5).replace(',', "\t"));
    assert_eq!(load_test("a.tsv", &titles).expect("no quoting").test.len(), 12);
}

#[test]
fn wrong_columns_are_told_with_the_separator_they_may_have() {
    let cases = [
        ("a.csv", "a,b\n1,2\n", "the columns are \"a\", \"b\"; one of text/review/sentence/content and one of"),
        ("a.csv", "a,b\n1,2\n", "are needed; the first line must name the columns"),
        ("a.csv", "text,Review,label\nx,y,1\n", "each of \"text\", \"Review\" could be the one that is meant"),
        ("a.csv", "text,label,label\nx,1,0\n", "each of \"label\", \"label\" could be the one"),
        ("a.csv", "text;label\nx;1\n", "is it separated by ';'? Then put a line sep=; before the first"),
        ("a.csv", "text|label\nx|1\n", "is it separated by '|'? Then put a line sep=|"),
        ("a.csv", "text\tlabel\nx\t1\n", "the columns are \"text\\tlabel\""),
        ("a.csv", "text\tlabel\nx\t1\n", "is it separated by tabs? Then name it .tsv"),
        ("a.tsv", "text,label\nx,1\n", "is it separated by ','? Then name it .csv"),
        ("a.tsv", "\"text\";\"label\"\nx;1\n", "is it separated by ';'? Then save it with tabs, or as .csv"),
        ("a.csv", "sep=;\ntext,label\nx,1\n", "is it separated by ','? Then leave the line sep= out"),
        ("a.csv", "sep=::\ntext::label\n", "\"sep=::\" names no separator that is read here"),
        ("a.csv", "text\u{1b}[31m,label\u{7}\n1,2\n", "the columns are \"text\\u{1b}[31m\", \"label\\u{7}\""),
        ("a.csv", "\n\r\n", "the table is blank"),
        ("a.csv", "text,label\n", "the table has no rows"),
        ("a.jsonl", "\n", "the table has no rows"),
        ("a.tsv", "", "the file is empty"),
        ("a.jsonl", "[{\"text\":\"x\",\"label\":1}]\n", "this is a JSON array; write one object a line, as jq"),
        ("a.csv", "t\0e\0x\0t\0,\0l\0a\0b\0e\0l\0\n\0", "byte 1 is NUL"),
        ("a.csv", "t\0e\0x\0t\0,\0l\0a\0b\0e\0l\0\n\0", "iconv -f UTF-16LE -t UTF-8"),
        ("a.csv", "text,label\na\0b,1\n", "byte 12"),
    ];
    for (name, content, what) in cases {
        let told = error(name, content);
        assert!(told.contains(what), "{told}");
        assert!(!told.contains(char::is_control), "{told}");
    }
}

#[test]
fn messages_are_short_whatever_the_table_holds() {
    let long = "x".repeat(6_000_000);
    let cases = [
        ("a.csv", format!("{long}\n1\n")),
        ("a.csv", format!("{}\n1\n", "column,".repeat(1_000_000))),
        ("a.csv", format!("text,label\nx,{long}\n")),
        ("a.csv", format!("text,label\n\"x\"{long},1\n")),
        ("a.csv", format!("text,label\n \"{long},1\n")),
        ("a.csv", format!("text,label,split\nx,1,{long}\n")),
        ("a.csv", format!("sep={long}\n")),
        ("a.tsv", format!("text\tlabel\n\"{long}\"\t1\n")),
        ("a.jsonl", format!("\"{long}\"\n")),
        ("a.jsonl", format!("{{\"{long}\":1}}\n")),
        ("a.jsonl", format!("{{\"text\":[\"{long}\"],\"label\":1}}\n")),
        ("a.jsonl", format!("{{\"text\":\"x\",\"label\":\"{long}\"}}\n")),
        ("a.jsonl", format!("{{\"text\":\"x\",\"label\":1,\"{long}\":1,\"{long}\":1}}\n")),
        ("a.csv", format!("text,label\n{long}\0,1\n")),
    ];
    for (name, content) in cases {
        let told = error(name, &content);
        assert!(told.len() < 700, "{}: {}", told.len(), &told[..300]);
    }
}

#[test]
fn a_folder_of_tables_is_read_by_their_names() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).expect("written");
    let places = Places { data: Some(folder.path().to_path_buf()), ..Places::default() };
    let load = |purpose| load_as(&places, Reading { purpose, ..Reading::default() }).map_err(|e| e.to_string());
    let table = format!("text,label\n{}", rows(3));
    write("Train.csv", &table);
    write(".test.csv", "hidden");
    write("notes.txt", "x");
    let reviews = load(Purpose::TrainAndTest).expect("to train");
    assert_eq!((reviews.train.len(), reviews.test.len()), (6, 0));
    assert!(load(Purpose::Test).expect_err("no test").contains("there is no review to test on: 6 are to train on"));
    write("test.jsonl", "{\"text\":\"a\",\"label\":1}\n");
    write("valid.csv", &table);
    let reviews = load(Purpose::TrainAndTest).expect("both");
    assert_eq!((reviews.train.len(), reviews.test.len()), (6, 1));
    assert!(reviews.notes[0].ends_with("valid.csv is neither trained nor tested on"), "{:?}", reviews.notes);
    assert!(reviews.table.expect("the train table").path.ends_with("Train.csv"));
    assert!(load(Purpose::Test).expect("both").table.expect("the test table").path.ends_with("test.jsonl"));

    write("test.tsv", "text\tlabel\na\t1\n");
    assert!(load(Purpose::Test).expect_err("two").contains("test.tsv? Give one file for a part"));
    std::fs::remove_file(folder.path().join("test.tsv")).expect("removed");
    write("test.jsonl", "{\"text\":\"a\",\"label\":1,\"split\":\"train\"}\n");
    let told = load(Purpose::Test).expect_err("of another part");
    assert!(told.contains("test.jsonl: some of its rows have the split of another part than its name says"), "{told}");
    std::fs::create_dir_all(folder.path().join("train/pos")).expect("made");
    assert!(load(Purpose::Train).expect_err("both kinds").contains("Train.csv; give one of them"));
}
