package panamoe.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import panamoe.checkpoint.gguf.GgufFile;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.reply.Reply;
import panamoe.conversation.reply.ReplyFamily;
import panamoe.conversation.reply.ReplyForm;
import panamoe.conversation.template.ChatTemplate;
import panamoe.data.ByteTokenizer;
import panamoe.io.StrictJson;
import panamoe.model.family.Family;
import panamoe.model.family.ReleasedModel;
import panamoe.testkit.FamilyTable;
import panamoe.testkit.FamilyTable.Column;
import panamoe.testkit.FamilyTable.Row;
import tools.jackson.databind.JsonNode;

/** The table of families in docs/released-models.md says what the tests' data are, no more. */
class FamilyTableTest {
  private static final Path GOLDEN = Path.of("golden");
  private static final Path TOKENIZERS = Path.of("../runtime/src/test/resources/golden/tokenizers");

  /** A family without a folder for transformers' code to export to. */
  private static final String SWITCH = "switch_transformers";

  @Test
  void thePageHasTheRowsThatTheDataGive() throws IOException {
    List<String> made = new ArrayList<>(FamilyTable.lines().subList(0, 2));
    Map<String, Row> rows =
        FamilyTable.rows().stream().collect(Collectors.toMap(Row::type, row -> row));
    Map<String, Set<String>> cases = models("hf");
    Map<String, Set<String>> training = models("hf_train");
    Map<String, Set<String>> files = ggufFiles();
    for (Family family : Family.ALL) {
      String type = family.type();
      Row row = rows.getOrDefault(type, new Row(type, List.of("", "", "", "", "", "")));
      Set<String> own = cases.getOrDefault(type, Set.of());
      Set<String> gguf = new TreeSet<>(files.getOrDefault(type, Set.of()));
      row.names(Column.GGUF).stream().filter(own::contains).forEach(gguf::add);
      boolean exported = !own.isEmpty() && !type.equals(SWITCH);
      made.add(
          Stream.of(
                  cell(Set.of(type)),
                  cell(own),
                  cell(training.getOrDefault(type, Set.of())),
                  cell(gguf),
                  exported ? FamilyTable.TICK : "",
                  cell(row.names(Column.CALL)),
                  cell(row.names(Column.TOKENIZER)))
              .collect(Collectors.joining(" | ", "| ", " |"))
              .replaceAll(" {2,}", " "));
    }
    Path written = Files.write(Path.of("target", "families.md"), made);
    assertEquals(
        String.join("\n", made),
        String.join("\n", FamilyTable.lines()),
        "the table of docs/released-models.md differs from " + written.toAbsolutePath());
  }

  private static String cell(Iterable<String> names) {
    List<String> quoted = new ArrayList<>();
    names.forEach(name -> quoted.add("`" + name + "`"));
    return String.join(", ", quoted);
  }

  /** The folders of recorded models by model_type. */
  private static Map<String, Set<String>> models(String kind) throws IOException {
    try (Stream<Path> folders = Files.list(GOLDEN.resolve(kind))) {
      return byFamily(
          folders.filter(folder -> Files.exists(folder.resolve("config.json"))).toList(),
          folder -> tree(folder.resolve("config.json")).path("model_type").asString(),
          folder -> folder.getFileName().toString());
    }
  }

  private static Map<String, Set<String>> ggufFiles() throws IOException {
    try (Stream<Path> files = Files.list(GOLDEN.resolve("gguf"))) {
      return byFamily(
          files.filter(file -> file.toString().endsWith(".gguf")).toList(),
          file -> {
            try (GgufFile opened = GgufFile.open(file)) {
              return ReleasedModel.of(opened).type();
            }
          },
          file -> file.getFileName().toString().replaceFirst("(-\\d+-of-\\d+)?\\.gguf$", ""));
    }
  }

  private static Map<String, Set<String>> byFamily(
      List<Path> paths, Function<Path, String> type, Function<Path, String> name) {
    return paths.stream()
        .filter(path -> !path.toString().matches(".*-0000[2-9]-of-\\d+\\.gguf"))
        .collect(
            Collectors.groupingBy(
                type, Collectors.mapping(name, Collectors.toCollection(TreeSet::new))));
  }

  /** From the recorded rendering of a call, or, where the template renders none, its known form. */
  @Test
  void eachTemplateHasACallThatIsRead() {
    for (Row row : FamilyTable.rows()) {
      for (String name : row.names(Column.CALL)) {
        boolean known =
            Arrays.stream(ReplyFamily.values()).anyMatch(each -> each.template.equals(name));
        assertTrue(known || recordedCall(name), row.type() + ": no call is read with " + name);
      }
    }
  }

  /** Each recorded conversation with a call, by templates whose arguments are elements. */
  @Test
  void recordedCallsBetweenTagsAreRead() {
    Set<String> read = new TreeSet<>();
    JsonNode conversations = tree(GOLDEN.resolve("templates/conversations.json"));
    for (JsonNode recorded : tree(GOLDEN.resolve("templates/index.json")).path("templates")) {
      String name = recorded.path("name").asString();
      ByteTokenizer tokenizer = new ByteTokenizer();
      ReplyForm form = ReplyForm.of(ReplyFamily.template(name), tokenizer);
      if (Set.of(ReplyForm.GLM, ReplyForm.MINIMAX, ReplyForm.QWEN_CODER).contains(form)) {
        JsonNode expected = tree(GOLDEN.resolve("templates/expected/" + name + ".json"));
        for (String conversation : List.of("toolcall", "probe_short_call_id")) {
          JsonNode asked = conversations.path(conversation);
          JsonNode function = asked.at("/tools/0/function");
          Reply reply =
              form.reply(
                  tokenizer,
                  false,
                  false,
                  Map.of(function.path("name").asString(), function.path("parameters")));
          String text = expected.path(conversation).path("text").asString();
          reply.next(text.substring(text.indexOf(asked.at("/messages/0/content").asString())));
          assertEquals(
              asked.at("/messages/1/tool_calls/0/function/arguments"),
              reply.calls().getFirst().object(),
              name + ": " + conversation);
        }
        read.add(name);
      }
    }
    assertEquals(
        Set.of(
            "GLM-4.6",
            "GLM-4.7-Flash",
            "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
            "Qwen3-Coder",
            "Qwen3.5-4B",
            "StepFun3.5-Flash"),
        read);
  }

  private static boolean recordedCall(String name) {
    Path folder = GOLDEN.resolve("templates");
    String prompt =
        tree(folder.resolve("expected/" + name + ".json")).at("/toolcall/text").asString("");
    ChatTemplate template = ReplyFamily.template(name);
    ByteTokenizer tokenizer = new ByteTokenizer();
    Reply reply =
        ReplyForm.of(template, tokenizer).reply(tokenizer, false, false, ReplyFamily.FUNCTIONS);
    reply.next(prompt.substring(prompt.indexOf("Weather in Oslo?") + 1));
    List<FunctionCall> calls = reply.calls();
    return !calls.isEmpty()
        && calls.getFirst().name().equals("get_weather")
        && calls.getFirst().object().path("city").asString().equals("Oslo");
  }

  @Test
  void eachTokenizerIsRecorded() throws IOException {
    Set<String> recorded = new TreeSet<>();
    try (Stream<Path> files = Files.list(TOKENIZERS)) {
      files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".json") && !name.startsWith("texts"))
          .forEach(name -> recorded.add(name.replace(".json", "")));
    }
    for (Row row : FamilyTable.rows()) {
      assertTrue(recorded.containsAll(row.names(Column.TOKENIZER)), row.type());
    }
  }

  private static JsonNode tree(Path file) {
    try {
      return StrictJson.tree(Files.readAllBytes(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
