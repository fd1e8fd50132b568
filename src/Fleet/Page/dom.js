// Makes elements, and tells people what has happened.

/** An element: properties by name, attributes where the name has a '-' or is 'role' or 'for', listeners where it begins with 'on'. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) {
      element.addEventListener(name.slice(2), value);
    } else if (name.includes('-') || name === 'role' || name === 'for' || name === 'scope') {
      element.setAttribute(name, value);
    } else {
      element[name] = value;
    }
  }
  element.append(...children);
  return element;
}

/** Sets the text of an element if it is another one: what does not change is not read aloud again. */
export function put(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** One line for whoever hears the page. */
export const announce = text => put(document.getElementById('said'), text);

/** One line of what is wrong; empty takes the last one away. */
export const complain = text => put(document.getElementById('complaint'), text);

/** Does something that may fail, and tells why it has. */
export async function attempt(action) {
  complain('');
  try {
    return await action();
  } catch (error) {
    complain(error.message);
    return undefined;
  }
}

export const mebibytes = bytes => `${Math.round(bytes / 1048576)} MiB`;

export const clock = at => {
  const date = new Date(at);
  return `${date.toLocaleTimeString('en-GB')}.${String(date.getMilliseconds()).padStart(3, '0')}`;
};
