package panamoe.harness.data;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import panamoe.data.Utf8;
import panamoe.eval.Task;
import panamoe.io.DataException;
import panamoe.io.FileErrors;
import panamoe.io.StrictJson;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;

/** The JSON forms in which the tasks of DeepSpeed-MoE's paper are published, as tasks. */
enum PublishedTasks {
  /** JSON lines: {@code text}. */
  LAMBADA {
    @Override
    void convert(JsonNode json, Consumer<Task> tasks) {
      tasks.accept(new Task.LastWord(text(json, "text")));
    }
  },
  /** JSON lines: {@code goal}, {@code sol1}, {@code sol2} and {@code label}, 0 or 1. */
  PIQA {
    @Override
    void convert(JsonNode json, Consumer<Task> tasks) {
      if (!json.has("label")) {
        throw new IllegalArgumentException(
            "label is missing; add each line of the labels' file to its task as \"label\"");
      }
      String context = "Question: " + text(json, "goal") + "\nAnswer:";
      List<String> choices = List.of(" " + text(json, "sol1"), " " + text(json, "sol2"));
      tasks.accept(new Task.Choice(context, choices, json.path("label").asInt(-1)));
    }
  },
  /** JSON lines: {@code passage}, {@code question} and {@code answer}, true or false. */
  BOOLQ {
    @Override
    void convert(JsonNode json, Consumer<Task> tasks) {
      JsonNode answer = json.path("answer");
      if (!answer.isBoolean()) {
        throw new IllegalArgumentException("answer is " + answer + ", expected true or false");
      }
      String context =
          text(json, "passage") + "\nQuestion: " + text(json, "question") + "?\nAnswer:";
      tasks.accept(new Task.Choice(context, List.of(" yes", " no"), answer.asBoolean() ? 0 : 1));
    }
  },
  /**
   * Objects with an {@code article} and, for each of its questions, an element of {@code
   * questions}, {@code options} and {@code answers}, A to D.
   */
  RACE {
    @Override
    void convert(JsonNode json, Consumer<Task> tasks) {
      String article = text(json, "article");
      JsonNode answers = json.path("answers");
      for (int i = 0; i < answers.size(); i++) {
        String context =
            article + "\n" + text(json.path("questions").path(i), "questions") + "\nAnswer:";
        List<String> options = new ArrayList<>();
        json.path("options").path(i).forEach(option -> options.add(" " + text(option, "options")));
        String letter = text(answers.path(i), "answers");
        tasks.accept(new Task.Choice(context, options, "ABCDEFGH".indexOf(letter)));
      }
    }
  },
  /** An object, in whose {@code Data} each has {@code Question} and {@code Answer}. */
  TRIVIAQA {
    @Override
    void convert(JsonNode json, Consumer<Task> tasks) {
      if (!json.path("Data").isArray()) {
        throw new IllegalArgumentException("Data is missing, expected an array of questions");
      }
      for (JsonNode question : json.path("Data")) {
        JsonNode answer = question.path("Answer");
        Set<String> right = new LinkedHashSet<>(List.of(text(answer, "Value")));
        answer.path("Aliases").forEach(alias -> right.add(text(alias, "Aliases")));
        tasks.accept(question(text(question, "Question"), right));
      }
    }
  },
  /** An array; each has {@code utterance} and {@code targetValue}, a list of descriptions. */
  WEBQS {
    @Override
    void convert(JsonNode json, Consumer<Task> tasks) {
      String target = text(json, "targetValue");
      Matcher descriptions = DESCRIPTION.matcher(target);
      Set<String> right = new LinkedHashSet<>();
      while (descriptions.find()) {
        String quoted = descriptions.group(1);
        right.add(quoted == null ? descriptions.group(2) : quoted.replaceAll("\\\\(.)", "$1"));
      }
      if (right.isEmpty()) {
        throw new IllegalArgumentException(
            "targetValue is " + target + ", expected (list (description ANSWER) ...)");
      }
      tasks.accept(question(text(json, "utterance"), right));
    }
  };

  /** Groups: a quoted answer, or one without quotes. */
  private static final Pattern DESCRIPTION =
      Pattern.compile("\\(description (?:\"((?:[^\"\\\\]|\\\\.)*)\"|([^()\"]+))\\)");

  /** Adds the tasks of one JSON value. */
  abstract void convert(JsonNode json, Consumer<Task> tasks);

  private static Task question(String question, Set<String> right) {
    return new Task.Answer("Question: " + question + "\nAnswer:", List.copyOf(right));
  }

  private static String text(JsonNode json, String key) {
    JsonNode value = json.isObject() ? json.path(key) : json;
    if (!value.isString() || value.asString().isEmpty()) {
      throw new IllegalArgumentException(
          key + " is " + (value.isMissingNode() ? "missing" : value) + ", expected a string");
    }
    return value.asString();
  }

  /**
   * The tasks of a file, or of all files in a folder in the order of their paths.
   *
   * @throws DataException with the file and the place in it, if it has another form or no task
   */
  List<Task> read(Path path) throws IOException {
    List<Task> tasks = new ArrayList<>();
    try (Stream<Path> files = Files.walk(path)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        read(file, tasks);
      }
    }
    if (tasks.isEmpty()) {
      throw new DataException(path + " has no task");
    }
    return tasks;
  }

  /** One value or an array in the whole file, or a value in each line. */
  private void read(Path file, List<Task> tasks) {
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw new DataException("cannot read " + file + ": " + FileErrors.reason(e), e);
    }
    Utf8.requireText(file, 0, bytes);
    List<String> lines = new String(bytes, UTF_8).lines().filter(line -> !line.isBlank()).toList();
    if (lines.size() > 1 && isWhole(lines.getFirst())) {
      for (int i = 0; i < lines.size(); i++) {
        add(parsed(lines.get(i).getBytes(UTF_8), file), file + ", object " + (i + 1), tasks);
      }
      return;
    }
    JsonNode whole = parsed(bytes, file);
    if (whole.isArray()) {
      for (int i = 0; i < whole.size(); i++) {
        add(whole.get(i), file + ", object " + (i + 1), tasks);
      }
    } else {
      add(whole, file.toString(), tasks);
    }
  }

  private static boolean isWhole(String line) {
    try {
      return StrictJson.tree(line.getBytes(UTF_8)).isObject();
    } catch (JacksonException e) {
      return false;
    }
  }

  private static JsonNode parsed(byte[] json, Path file) {
    try {
      return StrictJson.tree(json);
    } catch (JacksonException e) {
      throw new DataException(file + " is not JSON: " + StrictJson.reason(e), e);
    }
  }

  private void add(JsonNode json, String source, List<Task> tasks) {
    try {
      convert(json, tasks::add);
    } catch (IllegalArgumentException e) {
      throw new DataException(source + ": " + e.getMessage(), e);
    }
  }
}
