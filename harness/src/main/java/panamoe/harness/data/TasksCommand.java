package panamoe.harness.data;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import panamoe.data.Corpus;
import panamoe.eval.Task;
import panamoe.eval.TaskFile;
import panamoe.harness.SharedOptions;
import panamoe.harness.train.TrainingText;
import panamoe.io.Count;
import panamoe.io.SafeFolder;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe data tasks}. */
@Command(
    name = "tasks",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Makes tasks for panamoe eval from the validation part of the default corpus.",
      "  language.jsonl    which of four continuations is in the language of the text (choice)",
      "  last-word.jsonl   the last word of a sentence (last_word)",
      "  word.jsonl        which of four words of its language ends a sentence (choice)"
    },
    footer = {
      "",
      "Examples:",
      "  panamoe data tasks --out tasks",
      "  panamoe data tasks --languages en,de --count 100 --out tasks",
      "",
      "For a model that was trained on some languages, name the same: they decide what the validation part is."
    })
public final class TasksCommand implements Callable<Integer> {
  @Mixin private SharedOptions shared;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      required = true,
      description = "Where the files go: a new or empty folder.")
  private Path out;

  @Option(
      names = "--languages",
      paramLabel = "CODE",
      split = ",",
      description = "Languages of the default corpus, such as en,de,fr. Default: all.")
  private Set<String> languages = Set.of();

  @Option(
      names = "--count",
      paramLabel = "N",
      defaultValue = "500",
      description = "Most tasks of a file. Default: ${DEFAULT-VALUE}.")
  private int count;

  @Override
  public Integer call() throws IOException {
    shared.require(count >= 1, "--count is %s, expected 1 or more", count);
    SafeFolder folder = EmptyFolder.at(out);
    shared.checked(() -> TrainingText.requireKnown(languages));
    shared.err().println("reading the default corpus");
    TrainingText text = TrainingText.europarl(languages);
    List<String> passages = text.corpus().passages(Corpus.Part.VALIDATION);
    TaskMaker maker = new TaskMaker(passages, shared.seed());
    Map<String, List<Task>> files = new TreeMap<>();
    files.put("language.jsonl", maker.languages());
    files.put("last-word.jsonl", maker.lastWords());
    files.put("word.jsonl", maker.words());
    files.replaceAll(this::some);
    files.values().removeIf(List::isEmpty);
    write(files, folder);
    files.forEach((name, tasks) -> print(out.resolve(name), tasks.size()));
    return 0;
  }

  private List<Task> some(String name, List<Task> all) {
    if (all.isEmpty()) {
      shared.err().println(name + " is left out: the text gives no such task");
    }
    return all.subList(0, Math.min(count, all.size()));
  }

  /** Writes all files, or deletes what it wrote if one fails. */
  private void write(Map<String, List<Task>> files, SafeFolder folder) throws IOException {
    List<Path> missing = SafeFolder.missing(out);
    try {
      folder.make();
      for (Map.Entry<String, List<Task>> file : files.entrySet()) {
        String lines =
            file.getValue().stream()
                .map(TaskFile::line)
                .collect(Collectors.joining("\n", "", "\n"));
        folder.replace(file.getKey(), lines.getBytes(UTF_8));
      }
    } catch (IOException e) {
      try {
        for (String name : files.keySet()) {
          folder.delete(name);
        }
        SafeFolder.removeEmpty(missing);
      } catch (IOException undeleted) {
        e.addSuppressed(undeleted);
      }
      throw e;
    }
  }

  private void print(Path file, int tasks) {
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("file", file.toString()).put("tasks", tasks);
    shared.out().println(shared.json() ? json : file + ": " + Count.of(tasks, "task"));
  }
}
