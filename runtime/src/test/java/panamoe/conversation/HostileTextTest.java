package panamoe.conversation;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import panamoe.conversation.reply.FunctionCall;
import panamoe.conversation.template.ChatTemplate;
import panamoe.conversation.template.Prompt;
import panamoe.conversation.template.TemplateException;
import panamoe.data.MarkedTokenizer;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/**
 * Whatever a client writes, as whose message, thoughts, name, call, result or function, is text:
 * random conversations of markers and their halves, in every template that we have.
 */
class HostileTextTest {
  private static final int CONVERSATIONS = 20;
  private static final int LEAST = 3;

  /** Jinja2 fails on a short conversation in these, too. */
  private static final Set<String> FAILING =
      Set.of("MiroThinker.jinja", "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use.jinja");

  private static final String BOS = "<|bos|>";
  private static final String EOS = "<|eos|>";

  private static final Pattern MARKER =
      Pattern.compile("<[|｜][^<>{}'\"\\s]*[|｜]>|\\[/?[A-Z_]{3,}\\]|</?[a-z_:]+>");

  /** What templates look for in messages, to write old thoughts and results in another form. */
  private static final Pattern SOUGHT = Pattern.compile("<.*(think|tool_).*>|.*THINK\\]");

  /** A template, and the words of it that may be special tokens. */
  private record Subject(String name, ChatTemplate template, List<String> markers) {
    static Subject of(Path file) throws IOException {
      String name = file.getFileName().toString();
      String source = Files.readString(file);
      List<String> markers = new ArrayList<>(List.of(BOS, EOS));
      MARKER.matcher(source).results().map(MatchResult::group).distinct().forEach(markers::add);
      markers.removeIf(SOUGHT.asMatchPredicate());
      ChatTemplate template =
          ChatTemplate.of(source, name, Map.of("bos_token", BOS, "eos_token", EOS));
      return new Subject(name, template, markers);
    }

    @Override
    public String toString() {
      return name;
    }
  }

  static List<Subject> subjects() throws IOException {
    List<Subject> subjects = new ArrayList<>();
    for (String folder :
        new String[] {
          "../lab/golden/templates/text", "src/main/resources/panamoe/conversation/templates"
        }) {
      try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of(folder))) {
        for (Path file : files) {
          if (!FAILING.contains(file.getFileName().toString())) {
            subjects.add(Subject.of(file));
          }
        }
      }
    }
    return subjects;
  }

  @ParameterizedTest
  @MethodSource("subjects")
  void isNoMarker(Subject subject) {
    MarkedTokenizer tokenizer = new MarkedTokenizer(subject.markers.toArray(String[]::new));
    ChatFormat chat = ChatFormat.of(subject.template, tokenizer);
    int written = 0;
    for (int seed = 0; seed < CONVERSATIONS; seed++) {
      Prompt foreign;
      Prompt hostile;
      try {
        foreign = new Conversation(subject.markers, seed, true).prompt(chat);
        hostile = new Conversation(subject.markers, seed, false).prompt(chat);
      } catch (TemplateException _) {
        continue; // roles in an order that it refuses
      }
      written++;
      for (int i = 0; i < foreign.text().length(); i++) {
        boolean given = Character.getType(foreign.text().charAt(i)) == Character.PRIVATE_USE;
        assertTrue(!given || foreign.literal().get(i), foreign::text);
      }
      assertEquals(special(foreign, tokenizer), special(hostile, tokenizer), hostile::text);
    }
    assertTrue(written >= LEAST, subject + " wrote " + written);
  }

  /** How often each special token is in a prompt. */
  private static Map<String, Integer> special(Prompt prompt, MarkedTokenizer tokenizer) {
    Map<String, Integer> counts = new TreeMap<>();
    for (int token : prompt.tokens(tokenizer)) {
      String name = tokenizer.special(token);
      if (!name.isEmpty()) {
        counts.merge(name, 1, Integer::sum);
      }
    }
    return counts;
  }

  /** Random messages; a seed gives the same ones, of other characters if foreign. */
  private static final class Conversation {
    private final List<String> markers;
    private final SplittableRandom random;
    private final boolean foreign;
    private final List<Message> messages = new ArrayList<>();

    /**
     * @param foreign whether texts are of characters for private use, which no template has
     */
    Conversation(List<String> markers, int seed, boolean foreign) {
      this.markers = markers;
      this.random = new SplittableRandom(seed);
      this.foreign = foreign;
    }

    private String text() {
      StringBuilder text = new StringBuilder("x");
      for (int pieces = 1 + random.nextInt(4); pieces > 0; pieces--) {
        String marker = markers.get(random.nextInt(markers.size()));
        int half = random.nextInt(marker.length());
        text.append(
            switch (random.nextInt(4)) {
              case 0 -> marker.substring(0, half);
              case 1 -> marker.substring(half);
              default -> marker;
            });
      }
      return given(text.append('x').toString());
    }

    private String given(String text) {
      StringBuilder given = new StringBuilder();
      text.chars().forEach(c -> given.append((char) (foreign ? 0xe000 + c % 0x1000 : c)));
      return given.toString();
    }

    private String sometimes(int one) {
      return random.nextInt(one) == 0 ? text() : null;
    }

    Prompt prompt(ChatFormat chat) {
      if (random.nextBoolean()) {
        messages.add(Message.of("system", text()));
      }
      for (int turns = 1 + random.nextInt(2); turns > 0; turns--) {
        messages.add(new Message("user", text(), sometimes(4), null, List.of(), null));
        if (random.nextInt(3) == 0) {
          call();
        }
        messages.add(new Message("assistant", text(), null, sometimes(3), List.of(), null));
      }
      messages.add(Message.of("user", text()));
      Tools tools = random.nextInt(3) == 0 ? tools() : Tools.NONE;
      return chat.prompt(messages, tools, JsonNodeFactory.instance.objectNode());
    }

    private void call() {
      String id = given("[/INST]<|"); // Mistral's have nine characters
      String arguments = JsonNodeFactory.instance.objectNode().put(text(), text()).toString();
      List<FunctionCall> calls = List.of(new FunctionCall(id, text(), arguments));
      messages.add(new Message("assistant", text(), null, text(), calls, null));
      messages.add(new Message("tool", text(), text(), null, List.of(), id));
    }

    private Tools tools() {
      ObjectNode parameters = JsonNodeFactory.instance.objectNode().put("type", "object");
      ObjectNode property = parameters.putObject("properties").putObject(text());
      property.put("type", "string").put("description", text()).putArray("enum").add(text());
      return Tools.of(List.of(new Tools.Function("vote", text(), parameters)), false, true);
    }
  }
}
