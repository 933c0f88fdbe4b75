/** As much of a document as the renderer uses, and how to read the result. */

class FakeNode {
  parentNode: FakeElement | null = null;
}

class FakeText extends FakeNode {
  data: string;
  constructor(data: string) {
    super();
    this.data = data;
  }
  appendData(more: string): void {
    this.data += more;
  }
}

export class FakeElement extends FakeNode {
  readonly childNodes: FakeNode[] = [];
  readonly attributes = new Map<string, string>();
  readonly tag: string;
  constructor(tag: string) {
    super();
    this.tag = tag;
  }
  get firstChild(): FakeNode | null {
    return this.childNodes[0] ?? null;
  }
  get lastChild(): FakeNode | null {
    return this.childNodes.at(-1) ?? null;
  }
  appendChild(child: FakeNode): FakeNode {
    return this.insertBefore(child, null);
  }
  insertBefore(child: FakeNode, reference: FakeNode | null): FakeNode {
    child.parentNode?.removeChild(child);
    const index = reference === null ? this.childNodes.length : this.childNodes.indexOf(reference);
    if (index < 0) throw new Error("not a child");
    this.childNodes.splice(index, 0, child);
    child.parentNode = this;
    return child;
  }
  removeChild(child: FakeNode): FakeNode {
    this.childNodes.splice(this.childNodes.indexOf(child), 1);
    child.parentNode = null;
    return child;
  }
  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
}

export const made = new Set<string>();
export const document = {
  createElement(tag: string): FakeElement {
    made.add(tag);
    return new FakeElement(tag);
  },
  createTextNode: (data: string): FakeText => new FakeText(data),
} as unknown as Document;

/** The subtree in a short notation; of the attributes only those that a test asks about. */
export function read(node: unknown, shown: readonly string[] = ["href", "start"]): string {
  if (node instanceof FakeText) return node.data.replace(/[<>]/g, (mark) => (mark === "<" ? "&lt;" : "&gt;"));
  const { tag, attributes, childNodes } = node as FakeElement;
  const inside = childNodes.map((child) => read(child, shown)).join("");
  if (tag === "root") return inside;
  const names = shown.filter((name) => attributes.has(name)).map((name) => ` ${name}=${attributes.get(name)}`);
  return tag === "br" || tag === "hr" ? `<${tag}>` : `<${tag}${names.join("")}>${inside}</${tag}>`;
}

export function textOf(node: unknown): string {
  return node instanceof FakeText ? node.data : (node as FakeElement).childNodes.map(textOf).join("");
}
