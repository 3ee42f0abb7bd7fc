package panamoe.lab.conformance;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.TemplateException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Tests that damaged templates and random expressions render or are refused with their line. */
class MutatedTemplatesTest {
  private static final int TEMPLATES = Integer.getInteger("panamoe.fuzz.mutations", 1500);

  private static final String[] VALUES = {
    "messages",
    "messages[0]",
    "'abc'",
    "'a b'",
    "''",
    "1",
    "0",
    "-3",
    "2.5",
    "none",
    "true",
    "[]",
    "[1,2]",
    "['b','a']",
    "{}",
    "{'a':1}",
    "(1,'x')",
    "nope",
    "namespace(a=1)",
    "range",
    "loop",
    "[{'a':1},{'a':2}]",
    "'%s {}'",
    "9223372036854775807",
    "tools",
    "'\u00e9\ud83d\ude00'",
    "1e300",
    "[[1],[2]]",
    "raise_exception"
  };
  private static final String[] FILTERS = {
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "dictsort",
    "e",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "list",
    "lower",
    "map",
    "max",
    "pprint",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "urlencode",
    "wordcount"
  };
  private static final String[] METHODS = {
    "strip",
    "lstrip",
    "upper",
    "title",
    "startswith",
    "removeprefix",
    "split",
    "rsplit",
    "splitlines",
    "partition",
    "replace",
    "join",
    "find",
    "index",
    "count",
    "format",
    "zfill",
    "isdigit",
    "get",
    "items",
    "keys",
    "values",
    "copy",
    "append",
    "update",
    "a",
    "role",
    "content"
  };
  private static final String[] TESTS = {
    "defined",
    "none",
    "true",
    "boolean",
    "integer",
    "number",
    "string",
    "mapping",
    "iterable",
    "callable",
    "odd",
    "divisibleby",
    "lower",
    "in",
    "sameas",
    "filter",
    "eq",
    "lt",
    "ge"
  };
  private static final String[] OPERATORS = {
    "+", "-", "*", "/", "//", "%", "**", "~", "==", "<", ">=", "in", "not in", "and", "or"
  };
  private static final String[] NAMES = {
    "attribute", "default", "reverse", "width", "sep", "case_sensitive", "by", "indent", "precision"
  };
  private static final String[] PIECES = {
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "-%}",
    "{%-",
    "|",
    "(",
    ")",
    "[",
    "}",
    ".",
    ":",
    "::-1",
    ",",
    "'",
    "\\",
    "1",
    "**",
    "\ud83d",
    "break",
    "caller()",
    "endif",
    "{% raw %}",
    "recursive",
    "is not"
  };

  private final Random random = new Random(Long.getLong("panamoe.fuzz.seed", 1));

  @Test
  void everyOutcomeIsATextOrTheOneException() throws Exception {
    Path folder = RecordedCasesTest.folder().resolve("templates");
    List<String> templates = new ArrayList<>();
    try (Stream<Path> files = Files.list(folder.resolve("text"))) {
      for (Path file : files.sorted().toList()) {
        templates.add(Files.readString(file));
      }
    }
    List<JsonNode> conversations = new ArrayList<>();
    JsonMapper.shared()
        .readTree(folder.resolve("conversations.json").toFile())
        .forEach(conversations::add);
    int texts = 0;
    int refused = 0;
    for (int i = 0; i < TEMPLATES; i++) {
      String whole = templates.get(random.nextInt(templates.size()));
      String template =
          switch (i % 4) {
            case 0, 1 -> "{% for x in [1, 2] %}{{ " + expression(4) + " }}{% endfor %}";
            case 2 -> withOtherWords(whole);
            default -> damaged(whole);
          };
      ObjectNode variables = (ObjectNode) conversations.get(random.nextInt(conversations.size()));
      try {
        ChatTemplate.of(template, "t", Map.of()).render(variables);
        texts++;
      } catch (TemplateException e) {
        assertTrue(e.isRefusal() || e.line() > 0, e.getMessage());
        refused++;
      } catch (RuntimeException | Error e) {
        throw new AssertionError("failed in its own way: " + template, e);
      }
    }
    assertTrue(texts > TEMPLATES / 10 && refused > TEMPLATES / 10, texts + ", " + refused);
  }

  private String any(String... choices) {
    return choices[random.nextInt(choices.length)];
  }

  private String expression(int depth) {
    if (depth == 0) {
      return any(VALUES);
    }
    return switch (random.nextInt(8)) {
      case 0 -> any(VALUES);
      case 1, 2 -> "(" + expression(depth - 1) + "|" + any(FILTERS) + maybeInputs(depth) + ")";
      case 3 -> expression(depth - 1) + "." + any(METHODS) + maybeInputs(depth);
      case 4 ->
          "(" + expression(depth - 1) + " " + any(OPERATORS) + " " + expression(depth - 1) + ")";
      case 5 -> "(" + expression(depth - 1) + " is " + any(TESTS) + maybeInputs(depth) + ")";
      case 6 -> expression(depth - 1) + "[" + expression(depth - 1) + any("", ":", "::-1") + "]";
      default -> "[" + expression(depth - 1) + "," + expression(depth - 1) + "]";
    };
  }

  private String maybeInputs(int depth) {
    int count = random.nextInt(4) - 1;
    List<String> inputs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      boolean named = i == count - 1 && random.nextInt(4) == 0;
      boolean word = random.nextInt(5) == 0;
      inputs.add(
          (named ? any(NAMES) + "=" : "")
              + (word ? "'" + any(any(FILTERS), any(TESTS)) + "'" : expression(depth - 1)));
    }
    return count < 0 ? "" : "(" + String.join(",", inputs) + ")";
  }

  /** Replaces one to three words of a template. */
  private String withOtherWords(String template) {
    String[] parts = template.split("\\b");
    for (int changes = 1 + random.nextInt(3); changes > 0; changes--) {
      int at = random.nextInt(parts.length);
      while (!parts[at].matches("\\w+")
          || parts[at].matches("if|for|end\\w+|else|elif|set|macro")) {
        at = random.nextInt(parts.length);
      }
      parts[at] = any(any(VALUES), any(METHODS), parts[random.nextInt(parts.length)]);
    }
    return String.join("", parts);
  }

  /** A part of a template with pieces removed, inserted or repeated. */
  private String damaged(String template) {
    int begin = random.nextInt(template.length());
    String text = template.substring(begin, Math.min(template.length(), begin + 2000));
    for (int changes = 1 + random.nextInt(3); changes > 0 && !text.isEmpty(); changes--) {
      int at = random.nextInt(text.length());
      int end = Math.min(text.length(), at + random.nextInt(20));
      text =
          switch (random.nextInt(3)) {
            case 0 -> text.substring(0, at) + text.substring(end);
            case 1 -> text.substring(0, at) + any(PIECES) + text.substring(end);
            default -> text.substring(0, end) + text.substring(at);
          };
    }
    return text;
  }
}
