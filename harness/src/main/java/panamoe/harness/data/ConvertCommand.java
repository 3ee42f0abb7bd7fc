package panamoe.harness.data;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import panamoe.eval.Task;
import panamoe.eval.TaskFile;
import panamoe.harness.SharedOptions;
import panamoe.io.Count;
import panamoe.io.WholeOrNothing;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** {@code panamoe data convert}. */
@Command(
    name = "convert",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Converts a published data set to tasks for panamoe eval: LAMBADA, PIQA, BoolQ, RACE, TriviaQA or WebQs.",
      "--seed has no effect."
    },
    footer = {
      "",
      "Examples:",
      "  panamoe data convert boolq dev.jsonl --out boolq.jsonl",
      "  panamoe data convert race RACE/test/high --out race-h.jsonl      all files of a folder",
      "",
      "docs/evaluation.md says what a task is made of."
    })
public final class ConvertCommand implements Callable<Integer> {
  @Mixin private SharedOptions shared;

  @Parameters(
      index = "0",
      paramLabel = "FORM",
      description = "lambada, piqa, boolq, race, triviaqa or webqs.")
  private PublishedTasks form;

  @Parameters(
      index = "1",
      paramLabel = "PATH",
      description = "The data set's file, or a folder of them.")
  private Path path;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "FILE",
      required = true,
      description = "New file for the tasks, one JSON object a line.")
  private Path out;

  @Override
  public Integer call() throws IOException {
    shared.require(Files.exists(path), "there is no file %s", path);
    WholeOrNothing.requireFreeFile(out);
    List<Task> tasks = form.read(path);
    WholeOrNothing.make(
        out,
        file ->
            Files.write(
                file, (Iterable<String>) tasks.stream().map(TaskFile::line)::iterator, UTF_8));
    ObjectNode json = JsonNodeFactory.instance.objectNode();
    json.put("file", out.toString()).put("tasks", tasks.size());
    shared.out().println(shared.json() ? json : out + ": " + Count.of(tasks.size(), "task"));
    return 0;
  }
}
