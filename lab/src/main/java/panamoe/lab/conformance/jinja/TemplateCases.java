package panamoe.lab.conformance.jinja;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.TemplateException;
import panamoe.io.StrictJson;
import panamoe.io.Words;
import panamoe.lab.conformance.replay.CaseResult;
import panamoe.lab.conformance.replay.Conformance;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Texts that Jinja2 rendered from conversations with released models' chat templates: a folder with
 * {@code conversations.json}, and {@code index.json} with the files of each template and its texts.
 * If the template refused a conversation, its message is compared. If Jinja2 itself failed, nothing
 * is compared.
 */
public final class TemplateCases {
  private static final String CONVERSATIONS = "conversations.json";

  private final Path root;
  private final Path folder;
  private final ObjectNode conversations;
  private final LocalDateTime now;

  private TemplateCases(Path root, Path folder, ObjectNode conversations, LocalDateTime now) {
    this.root = root;
    this.folder = folder;
    this.conversations = conversations;
    this.now = now;
  }

  /** The folders of such cases under {@code root}, which exists. */
  public static List<Path> folders(Path root) throws IOException {
    return Conformance.files(root, CONVERSATIONS, file -> file.endsWith(CONVERSATIONS)).stream()
        .map(Path::getParent)
        .toList();
  }

  /**
   * Renders every case of a folder.
   *
   * @param root names of cases are relative to it
   * @throws IllegalArgumentException if the files of the folder do not describe cases
   */
  public static List<CaseResult> replay(Path root, Path folder) throws IOException {
    JsonNode index = json(folder.resolve("index.json"));
    if (!(json(folder.resolve(CONVERSATIONS)) instanceof ObjectNode conversations)) {
      throw new IllegalArgumentException(folder + " has no conversations by name");
    }
    TemplateCases cases =
        new TemplateCases(
            root, folder, conversations, time(folder, index.path("now").asString("")));
    List<CaseResult> results = new ArrayList<>();
    for (JsonNode template : index.path("templates")) {
      results.addAll(cases.replay(template));
    }
    return results;
  }

  private static LocalDateTime time(Path folder, String now) {
    try {
      return LocalDateTime.parse(now);
    } catch (DateTimeException e) {
      throw new IllegalArgumentException(
          folder + " has the time '" + now + "' in index.json, expected 2026-01-02T15:04:05", e);
    }
  }

  private static JsonNode json(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    try {
      return StrictJson.tree(bytes);
    } catch (JacksonException e) {
      throw new IllegalArgumentException(file + " is not JSON: " + StrictJson.reason(e), e);
    }
  }

  private List<CaseResult> replay(JsonNode template) throws IOException {
    Path name = root.relativize(folder.resolve(template.path("name").asString("")));
    Path file = folder.resolve(template.path("template").asString(""));
    JsonNode expected = json(folder.resolve(template.path("expected").asString("")));
    List<CaseResult> results = new ArrayList<>();
    for (Map.Entry<String, JsonNode> one : expected.properties()) {
      String of = name.resolve(one.getKey()).toString();
      results.add(
          Files.exists(file)
              ? result(
                  of,
                  new String(Files.readAllBytes(file), StandardCharsets.UTF_8),
                  conversations.path(one.getKey()),
                  one.getValue())
              : CaseResult.failed(of, "the template " + file + " is absent"));
    }
    return results;
  }

  private CaseResult result(String name, String template, JsonNode variables, JsonNode expected) {
    if (!(variables instanceof ObjectNode given)) {
      return CaseResult.failed(name, "there is no conversation of this name");
    }
    boolean fails = expected.path("error").asString("").equals("other");
    try {
      String text = ChatTemplate.of(template, name, Map.of()).at(now).render(given).text();
      return fails
          ? CaseResult.ofText(name, List.of("Jinja2 fails, we do not"))
          : compared(name, text, expected.path("text").asString(null));
    } catch (TemplateException e) {
      return fails
          ? CaseResult.ofText(name, List.of("Jinja2 fails, too"))
          : compared(name, e.getMessage(), expected.path("message").asString(null));
    }
  }

  private static CaseResult compared(String name, String ours, String expected) {
    if (ours.equals(expected)) {
      return CaseResult.ofText(name, List.of());
    }
    if (expected == null) {
      return CaseResult.failed(name, "we give '" + beginning(ours, 0) + "', where Jinja2 does not");
    }
    int same = 0;
    while (same < Math.min(ours.length(), expected.length())
        && ours.charAt(same) == expected.charAt(same)) {
      same++;
    }
    return CaseResult.failed(
        name,
        Words.of(
            "after %s characters there is '%s', expected '%s'",
            same, beginning(ours, same), beginning(expected, same)));
  }

  private static String beginning(String text, int from) {
    return text.substring(from, Math.min(text.length(), from + 60)).replace("\n", "\\n");
  }
}
