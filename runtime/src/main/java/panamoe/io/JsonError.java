package panamoe.io;

import java.nio.charset.CharacterCodingException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.core.JacksonException;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.core.exc.InputCoercionException;
import tools.jackson.core.exc.StreamConstraintsException;

/** Describes a JSON syntax error in plain words: Jackson's messages are for programmers. */
final class JsonError {
  private static final Pattern CHARACTER =
      Pattern.compile("Unexpected character \\(.*?code (\\d+).*", Pattern.DOTALL);
  private static final Pattern BOUND = Pattern.compile("maximum allowed \\((\\d+)");
  private static final Pattern QUOTED = Pattern.compile("[^'\"]*(['\"])(.*?)\\1.*", Pattern.DOTALL);
  private static final int MOST_QUOTED = 40;

  private JsonError() {}

  /** With line and column. */
  static String of(JacksonException e) {
    return of(e, e.getLocation());
  }

  static String of(JacksonException e, TokenStreamLocation location) {
    return location == null || location.getLineNr() < 1
        ? what(e)
        : what(e) + " (line " + location.getLineNr() + ", column " + location.getColumnNr() + ")";
  }

  static String what(JacksonException e) {
    if (e.getCause() instanceof CharacterCodingException) {
      return "it is not UTF-8";
    }
    String message = e.getOriginalMessage();
    if (e instanceof StreamConstraintsException) {
      return tooMuch(message);
    }
    if (e instanceof InputCoercionException) {
      return "a number is out of range";
    }
    if (message.startsWith("Unexpected end-of-input")) {
      return "it ends too early";
    }
    if (message.startsWith("Duplicate Object property")) {
      return "a key is there twice: '" + quoted(message) + "'";
    }
    if (message.startsWith("Non-standard token")) {
      return quoted(message) + " is no number in JSON";
    }
    if (message.startsWith("Unrecognized token")) {
      return "'" + quoted(message) + "' is no value in JSON";
    }
    if (message.startsWith("Trailing token")) {
      return "something follows its end";
    }
    if (message.contains("Leading zeroes")) {
      return "a number begins with 0";
    }
    if (message.startsWith("Unrecognized character escape")) {
      return "a string has a backslash before a character that needs none";
    }
    if (message.startsWith("Illegal unquoted character")) {
      return "a string has a control character, which needs a backslash";
    }
    Matcher character = CHARACTER.matcher(message);
    if (character.matches()) {
      return shown(Integer.parseInt(character.group(1))) + " is not expected here";
    }
    if (message.startsWith("Unexpected close marker")) {
      return quoted(message) + " closes what is not open";
    }
    return "this is not JSON";
  }

  private static String tooMuch(String message) {
    Matcher bound = BOUND.matcher(message);
    String most = bound.find() ? bound.group(1) : "it may be";
    if (message.startsWith("Document nesting depth")) {
      return "it is nested deeper than " + most;
    }
    if (message.startsWith("Number value length")) {
      return "a number has more digits than " + most;
    }
    return "something in it is too long";
  }

  private static String shown(int code) {
    return Character.isISOControl(code) || !Character.isDefined(code)
        ? "the character of code " + code
        : "'" + Character.toString(code) + "'";
  }

  private static String quoted(String message) {
    Matcher quoted = QUOTED.matcher(message);
    String text = quoted.matches() ? quoted.group(2).replaceAll("\\p{Cntrl}", "?") : "";
    return text.length() <= MOST_QUOTED ? text : text.substring(0, MOST_QUOTED) + "...";
  }
}
