package panamoe.conversation.reply;

import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.data.Markers;
import panamoe.data.Tokenizer;
import panamoe.grammar.CallMarkup;
import panamoe.grammar.MarkupPattern;
import tools.jackson.databind.JsonNode;

/**
 * GPT-OSS's harmony format: messages, each with a header that names a channel and perhaps a
 * recipient. Messages to functions are calls, messages in the channel analysis are thoughts, others
 * are content. The prompt ends within the first header.
 */
record Harmony(CallMarkup form) implements ReplySyntax {
  private static final String CHANNEL_NAME = "<|channel|>";
  private static final String CHANNEL = Markers.of(CHANNEL_NAME);
  private static final String TO = " to=functions.";
  private static final Pattern FUNCTION = Pattern.compile("\\bto=functions\\.([\\w-]+)");

  static Harmony of(Tokenizer tokenizer) {
    String channel = Markers.in(tokenizer, CHANNEL_NAME);
    String message = Markers.in(tokenizer, "<|message|>");
    String start = Markers.in(tokenizer, "<|start|>") + "assistant";
    String json = Markers.in(tokenizer, "<|constrain|>") + "json";
    String commentary = channel + "commentary";
    MarkupPattern between =
        MarkupPattern.sequence(
            MarkupPattern.perhaps(MarkupPattern.of(commentary)),
            MarkupPattern.perhaps(MarkupPattern.exactly(" json"), MarkupPattern.of(" " + json)),
            MarkupPattern.of(message));
    return new Harmony(
        new CallMarkup(
            List.of(commentary + TO, channel + "analysis" + TO, start + TO),
            start,
            MarkupPattern.exactly(commentary + TO),
            new CallMarkup.Calls(
                MarkupPattern.EMPTY,
                between,
                MarkupPattern.EMPTY,
                MarkupPattern.NEVER,
                MarkupPattern.EMPTY),
            MarkupPattern.of(channel + "final" + message)));
  }

  @Override
  public ReplyReader reader(Map<String, JsonNode> functions) {
    return new Reader(!functions.isEmpty());
  }

  private static final class Reader implements ReplyReader {
    /** What the next text belongs to. */
    private enum Part {
      HEADER,
      REASONING,
      CONTENT,
      CALL,
      NOTHING
    }

    private final boolean calling;
    private final StringBuilder header = new StringBuilder();
    private Part part = Part.HEADER;
    private boolean headed;
    private boolean thought;
    private boolean said;

    Reader(boolean calling) {
      this.calling = calling;
    }

    @Override
    public void next(String piece, Reply into) {
      int from = 0;
      for (int at = Markers.next(piece, 0); at >= 0; at = Markers.next(piece, from)) {
        text(piece.substring(from, at), into);
        from = Markers.end(piece, at);
        marker(piece.substring(at, from), into);
      }
      text(piece.substring(from), into);
    }

    /** Text without any header is content. */
    @Override
    public void end(boolean cut, Reply into) {
      String text = header.toString();
      boolean piece = cut && (TO.startsWith(text) || text.startsWith(TO));
      if (part == Part.HEADER && !headed && !piece) {
        into.say(text);
      }
      part = Part.NOTHING;
    }

    @Override
    public boolean thinking() {
      return part == Part.REASONING;
    }

    private void marker(String marker, Reply into) {
      headed = true;
      switch (Markers.name(marker)) {
        case "<|start|>" -> {
          header.setLength(0);
          part = Part.HEADER;
        }
        case CHANNEL_NAME -> {
          if (part != Part.HEADER) {
            header.setLength(0);
            part = Part.HEADER;
          }
          header.append(marker);
        }
        case "<|message|>" -> message(into);
        case "<|end|>", "<|call|>", "<|return|>" -> part = Part.NOTHING;
        default -> {
          if (part == Part.HEADER) {
            header.append(' '); // such as <|constrain|> between the recipient and the type
          }
        }
      }
    }

    /** A header is complete. */
    private void message(Reply into) {
      Matcher function = FUNCTION.matcher(header.toString());
      int channel = header.indexOf(CHANNEL);
      String name = channel < 0 ? "" : header.substring(channel + CHANNEL.length()).strip();
      header.setLength(0);
      if (calling && function.find()) {
        into.call(FunctionCall.newId(), function.group(1));
        part = Part.CALL;
      } else if (name.startsWith("analysis")) {
        into.think(thought ? "\n" : "");
        thought = true;
        part = Part.REASONING;
      } else {
        into.say(said ? "\n" : "");
        said = true;
        part = Part.CONTENT;
      }
    }

    private void text(String text, Reply into) {
      switch (part) {
        case HEADER -> header.append(text);
        case REASONING -> into.think(text);
        case CONTENT -> into.say(text);
        case CALL -> into.arguments(text);
        case NOTHING -> {}
      }
    }
  }
}
